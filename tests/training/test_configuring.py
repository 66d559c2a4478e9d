"""What suits a data set and a body, and what the user says, in that order."""

import pytest

from udsph_tf import cli
from udsph_tf.commands.fit import _config
from udsph_tf.config import Config, load_config, override, to_toml
from udsph_tf.data import CATALOGUE
from udsph_tf.training import config_for
from udsph_tf.training.body_defaults import body_defaults


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_config_for_every_data_set_can_begin_a_run(name):
    config = config_for(name)
    assert config.data.dataset == name
    config.check_effects()


def test_config_for_takes_the_defaults_of_the_data_set():
    fashion, emoji, captions = (config_for(each) for each in ("fashion", "openmoji", "flickr8k"))
    assert (fashion.data.num_train, fashion.image.size, fashion.training.joint_epochs) == (
        10_000,
        128,
        20,
    )
    assert emoji.image.body == "efficientnet_lite0"
    assert (emoji.loss.quantization, emoji.loss.instance, emoji.training.criterion) == (
        0.1,
        0.0,
        "ndcg",
    )
    assert (captions.data.captions, captions.loss.classification) == ("each", 0.0)


def test_config_for_settings_win_over_the_data_set():
    config = config_for("fashion", {"training": {"joint_epochs": "3"}, "loss": {"instance": 0.1}})
    assert (config.training.joint_epochs, config.loss.instance) == (3, 0.1)
    assert config.image.body == "efficientnet_lite0"


def test_config_for_another_body_has_what_suits_it():
    config = config_for("fashion", {"image": {"body": "small_cnn"}})
    assert (config.image.size, config.image.trainable, config.image.pooling) == (64, True, "last")
    sized = config_for("fashion", {"image": {"body": "small_cnn", "size": 96}})
    assert sized.image.size == 96
    assert body_defaults("image", "small_cnn") == {"size": 64}


def test_config_for_another_body_has_all_that_suits_it_at_once():
    config = config_for("wikipedia", {"image": {"body": "efficientnet_lite0"}})
    assert (config.image.size, config.image.trainable, config.image.pooling) == (
        128,
        False,
        "stages",
    )


def test_config_for_the_likelihood_leaves_out_the_overlap_of_the_data_set():
    config = config_for("fashion-attributes", {"loss": {"similarity_form": "likelihood"}})
    assert (config.loss.overlap, config.loss.overlap_power) == ("dice", 1.0)
    for own, remedy in (
        ({"overlap": "jaccard"}, "overlap=dice"),
        ({"overlap_power": 2.0}, "power=1.0"),
    ):
        chosen = config_for(
            "fashion-attributes", {"loss": {"similarity_form": "likelihood", **own}}
        )
        with pytest.raises(ValueError, match=f"Set loss.*{remedy}"):
            chosen.check_effects()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"dataset": "openmoji"}}, "the data set that is asked for, 'fashion'"),
        ({"image": 5}, "`image` must be a table of keys. Received: image=5"),
        ({"data": 5}, "`data` must be a table of keys. Received: data=5"),
        ({"loss": {"locl": 1.0}}, "Unknown config key `loss.locl`. Did you mean `local`?"),
    ],
)
def test_config_for_wrong_tables_raise(tables, message):
    with pytest.raises(ValueError, match=message):
        config_for("fashion", tables)


def test_config_for_labels_of_the_user_undo_what_suits_a_set_without():
    without, with_labels = config_for("flickr8k"), config_for("flickr8k", {"data": {"labels": "l"}})
    assert without.loss == override(Config(), CATALOGUE["flickr8k"].unlabelled).loss
    assert with_labels.loss == override(Config(), CATALOGUE["flickr8k"].defaults).loss


@pytest.mark.parametrize("name", ["fashoin", "", "/root"])
def test_config_for_unknown_data_set_raises(name):
    with pytest.raises(ValueError, match=f"Unknown data set `{name}`"):
        config_for(name)


def test_config_file_stands_over_the_defaults_of_its_data_set(tmp_path, monkeypatch):
    # As the command line reads it: file, --set and flags, each over what is before it.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(
        '[data]\ndataset = "fashion-attributes"\n[loss]\ninstance = 0.4\nlocal = 0.1\n', "utf-8"
    )
    flags = ["--set", "loss.local=0.3", "--root", "x", "--bits", "32"]
    config = _config(cli._parse(["udsph", "fit", "--config", "my.toml", *flags]))
    tables = {
        "data": {"root": str(tmp_path / "x")},
        "loss": {"instance": 0.4, "local": 0.3},
        "network": {"num_bits": 32},
    }
    assert config == override(config_for("fashion-attributes"), tables)
    # Of another data set: what the file says, and of what it does not say that set's own.
    other = _config(cli._parse(["udsph", "fit", "--config", "my.toml", "--dataset", "openmoji"]))
    assert other == config_for("openmoji", {"loss": {"instance": 0.4, "local": 0.1}})


@pytest.mark.parametrize(
    ("name", "body"), [("fashion", "small_cnn"), ("wikipedia", "efficientnet_lite0")]
)
def test_config_file_of_a_run_makes_the_same_run(tmp_path, name, body):
    config = config_for(name, {"image": {"body": body}, "loss": {"instance": 0.3}})
    (tmp_path / "config.toml").write_text(to_toml(config), "utf-8")
    assert load_config(tmp_path / "config.toml") == config
    args = cli._parse(["udsph", "fit", "--config", str(tmp_path / "config.toml")])
    assert _config(args) == config
