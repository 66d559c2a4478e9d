import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udsph_tf.config import (
    Config,
    NetworkConfig,
    load_config,
    nearest,
    override,
    override_section,
    to_toml,
)

# UTF-8 has no half characters, so neither has a TOML file.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WEIGHT = st.floats(0, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("config") / "config.toml"


@given(
    root=ANY_TEXT,
    num_bits=st.integers(1, 64).map(lambda n: 8 * n),
    weight=WEIGHT,
    dropout=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**70),
    flag=st.booleans(),
)
def test_to_toml_any_values_are_read_back_equal(path, root, num_bits, weight, dropout, seed, flag):
    config = override(
        Config(),
        {
            "data": {"root": root},
            "network": {"num_bits": num_bits, "dropout": dropout},
            "loss": {"local": weight, "balance_pairs": flag},
            "training": {"seed": seed},
        },
    )
    path.write_text(to_toml(config), encoding="utf-8", newline="")
    assert load_config(path) == config


def test_to_toml_default_has_every_key_of_every_section():
    lines = to_toml(Config()).splitlines()
    for section, table in dataclasses.asdict(Config()).items():
        assert f"[{section}]" in lines
        for key in table:
            assert any(line.startswith(f"{key} = ") for line in lines)


def test_load_config_partial_file_keeps_other_defaults(path):
    path.write_text("# a comment\n[network]\nnum_bits = 128\n", encoding="utf-8")
    expected = dataclasses.replace(Config(), network=NetworkConfig(num_bits=128))
    assert load_config(path) == expected


def test_load_config_empty_file_is_the_default(path):
    path.write_text("", encoding="utf-8")
    assert load_config(path) == Config()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_load_config_no_file_raises_with_the_path(tmp_path, make):
    make(tmp_path / "absent.toml")
    with pytest.raises(FileNotFoundError, match=r"There is no config file .*absent\.toml"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("content", [b"num_bits: 64", b"[network", b"\xff\xfe", b"a = 1\na = 2"])
def test_load_config_not_toml_raises_with_the_path(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.toml is not a TOML file: "):
        load_config(path)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"netwrok": {}}, "Unknown config section `netwrok`. Did you mean `network`?"),
        (
            {"zzz": {}},
            "Unknown config section `zzz`. Valid names: `data`, `image`, `loss`, `network`, "
            "`text`, `training`",
        ),
        (
            {"network": {"num_bit": 8}},
            "Unknown config key `network.num_bit`. Did you mean `num_bits`?",
        ),
        ({"network": 64}, "`network` must be a table of keys. Received: network=64"),
        ({"network": [{}]}, "`network` must be a table of keys. Received: network=[{}]"),
        (
            {"network": {"num_bits": 12}},
            "`num_bits` must be a positive multiple of 8. Received: num_bits=12",
        ),
        (
            {"network": {"num_bits": 64.0}},
            "`network.num_bits` must be of type int. Received: network.num_bits=64.0",
        ),
        (
            {"network": {"num_bits": True}},
            "`network.num_bits` must be of type int. Received: network.num_bits=True",
        ),
        (
            {"network": {"num_bits": "many"}},
            "`network.num_bits` must be of type int. Received: network.num_bits='many'",
        ),
        (
            {"loss": {"local": False}},
            "`loss.local` must be of type float. Received: loss.local=False",
        ),
        (
            {"image": {"augment": "yes"}},
            "`image.augment` must be of type bool. Received: image.augment='yes'",
        ),
        (
            {"image": {"augment": 1}},
            "`image.augment` must be of type bool. Received: image.augment=1",
        ),
        ({"data": {"root": 5}}, "`data.root` must be of type str. Received: data.root=5"),
        ({"image": {"size": 31}}, "`image.size` must be at least 32. Received: 31"),
        ({"text": {"max_tokens": 0}}, "`text.max_tokens` must be positive. Received: 0"),
        (
            {"loss": {"overlap_power": 0.5}},
            "`loss.overlap_power` must be at least 1. Received: 0.5",
        ),
        ({"network": {"dropout": 1.0}}, "`network.dropout` must be in [0, 1). Received: 1.0"),
        (
            {"text": {"word_dropout": "nan"}},
            "`text.word_dropout` must be in [0, 1). Received: nan",
        ),
        ({"image": {"vector_noise": 1.5}}, "`image.vector_noise` must be in [0, 1]. Received: 1.5"),
        (
            {"text": {"vector_noise": "nan"}},
            "`text.vector_noise` must be in [0, 1]. Received: nan",
        ),
        (
            {"text": {"vector_form": "sqrt"}},
            "Unknown `text.vector_form`: 'sqrt'. Valid names: `hellinger`, `plain`",
        ),
        (
            {"data": {"num_validation": -2}},
            "`data.num_validation` must not be negative. Received: data.num_validation=-2",
        ),
        (
            {"training": {"batch_size": 1}},
            "`training.batch_size` must be at least 2, or 0. Received: 1",
        ),
        (
            {"loss": {"local": -0.5}},
            "`loss.local` must not be negative. Received: loss.local=-0.5",
        ),
        (
            {"data": {"num_query": -1}},
            "`data.num_query` must not be negative. Received: data.num_query=-1",
        ),
        (
            {"training": {"learning_rate": "nan"}},
            "`training.learning_rate` must be finite. Received: training.learning_rate=nan",
        ),
        (
            {"loss": {"local": "inf"}},
            "`loss.local` must be finite. Received: loss.local=inf",
        ),
        (
            {"network": {"hidden_dim": 0}},
            "`network.hidden_dim` must be positive. Received: network.hidden_dim=0",
        ),
        (
            {"data": {"dataset": "fashoin"}},
            "Unknown `data.dataset`: 'fashoin'. Did you mean `fashion`?",
        ),
        (
            {"loss": {"similarity_form": "x"}},
            "Unknown `loss.similarity_form`: 'x'. Valid names: `levels`, `likelihood`",
        ),
        (
            {"training": {"schedule": "cosinus"}},
            "Unknown `training.schedule`: 'cosinus'. Did you mean `cosine`?",
        ),
        (
            {"training": {"optimizer": "adamax"}},
            "Unknown `training.optimizer`: 'adamax'. Did you mean `adam`?",
        ),
        (
            {"training": {"precision": "bfloat16"}},
            "Unknown `training.precision`: 'bfloat16'. Did you mean `mixed_bfloat16`?",
        ),
        (
            {"training": {"early_stopping": -1}},
            "`training.early_stopping` must not be negative. Received: training.early_stopping=-1",
        ),
        (
            {"training": {"gradient_clip": -1}},
            "`training.gradient_clip` must not be negative. Received: training.gradient_clip=-1.0",
        ),
        (
            {"training": {"warmup_epochs": 3, "separate_epochs": 1, "joint_epochs": 2}},
            "`training.warmup_epochs` must be less than the epochs of the hashers. Received: 3",
        ),
        (
            {"training": {"weight_decay": 0.1}},
            "`training.weight_decay` must be positive with `training.optimizer` = adamw, and 0 "
            "without. Received: 0.1",
        ),
        (
            {"training": {"optimizer": "adamw"}},
            "`training.weight_decay` must be positive with `training.optimizer` = adamw, and 0 "
            "without. Received: 0.0",
        ),
        (
            {"training": {"label_epochs": 0}},
            "`training.label_epochs` and at least one of `training.separate_epochs` and "
            "`training.joint_epochs` must be positive",
        ),
        (
            {"training": {"finetune": "pictures"}},
            "Unknown `training.finetune`: 'pictures'. Valid names: `both`, `image`, `none`, `text`",
        ),
        (
            {"training": {"finetune": "both"}, "image": {"trainable": False}},
            "`training.finetune` is for a frozen body, and this run's text body is trained from "
            "the start. Set text.trainable=false and choose a body with pretrained weights. "
            "Received: 'both'",
        ),
        (
            {"training": {"finetune_epochs": 0}},
            "`training.finetune_epochs` must be positive. Received: training.finetune_epochs=0",
        ),
        (
            {"training": {"separate_epochs": 0, "joint_epochs": 0}},
            "`training.label_epochs` and at least one of `training.separate_epochs` and "
            "`training.joint_epochs` must be positive",
        ),
    ],
)
def test_override_wrong_value_raises_naming_it(tables, message):
    with pytest.raises(ValueError) as error:
        override(Config(), tables)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"loss": {"similarity_form": "likelihood", "overlap": "jaccard"}},
            "`loss.overlap` is for `loss.similarity_form` = levels, and the likelihood asks only "
            "whether a label is shared. Set loss.overlap=dice. Received: 'jaccard'",
        ),
        (
            {"training": {"early_stopping": 3}, "data": {"num_validation": -1}},
            "`training.early_stopping` waits for a better validation score, and "
            "`data.num_validation` = -1 holds no item back. Set one of them to 0. Received: 3",
        ),
        (
            {"training": {"refine_mixup": 1.0, "refine_epochs": 0}},
            "`training.refine_mixup` mixes items in the stage `refine`, which "
            "`training.refine_epochs` = 0 leaves out. Set refine_epochs, or refine_mixup=0. "
            "Received: 1.0",
        ),
    ],
)
def test_check_effects_of_a_setting_that_nothing_reads_raises(tables, message):
    # Read it can be all the same: a run that was made with it is still a run.
    config = override(Config(), tables)
    with pytest.raises(ValueError) as error:
        config.check_effects()
    assert str(error.value) == message
    Config().check_effects()


def test_finetuned_names_the_modalities_whose_bodies_go_on_learning():
    frozen = {"image": {"trainable": False}, "text": {"trainable": False}}
    expected = {"none": (), "image": ("image",), "text": ("text",), "both": ("image", "text")}
    for chosen, modalities in expected.items():
        config = override(Config(), {**frozen, "training": {"finetune": chosen}})
        assert config.finetuned() == modalities


def test_override_strings_are_converted_to_the_type_of_the_key():
    config = override(
        Config(),
        {
            "network": {"num_bits": "32", "dropout": "1e-1"},
            "image": {"augment": "False", "trainable": "true"},
            "loss": {"local": "1"},
            "data": {"root": "5"},
        },
    )
    assert config.network.num_bits == 32
    assert config.network.dropout == 0.1
    assert (config.image.augment, config.image.trainable) == (False, True)
    assert config.loss.local == 1.0
    assert config.data.root == "5"


def test_override_whole_number_for_a_float_becomes_float():
    assert type(override(Config(), {"loss": {"local": 1}}).loss.local) is float


def test_override_leaves_its_argument_and_the_other_keys_alone():
    first = override(Config(), {"network": {"hidden_dim": 7}})
    second = override(first, {"network": {"num_bits": 8}})
    assert first.network.num_bits == Config().network.num_bits
    assert (second.network.hidden_dim, second.network.num_bits) == (7, 8)


def test_override_section_alone_replaces_keys_and_names_unknown_ones():
    assert override_section(NetworkConfig(), "network", {"num_bits": 8}).num_bits == 8
    with pytest.raises(ValueError, match="Unknown config key `network.bits`"):
        override_section(NetworkConfig(), "network", {"bits": 8})


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().network.num_bits = 8


def test_nearest_nothing_near_lists_the_names_sorted():
    assert nearest("qqq", ["b", "a"]) == " Valid names: `a`, `b`"


@pytest.mark.parametrize("name", ["openmoji", "fashion"])
def test_config_file_of_a_dataset_is_what_the_command_uses_for_it(name):
    from udsph_tf.data import CATALOGUE

    root = Path(__file__).parents[1]
    tables = {"data": {}, **CATALOGUE[name].defaults}
    tables["data"] = {**tables["data"], "dataset": name}
    assert load_config(root / "configs" / f"{name}.toml") == override(Config(), tables)


def test_config_file_for_many_labels_has_the_objective_of_fashion_attributes():
    from udsph_tf.data import CATALOGUE

    tables = CATALOGUE["fashion-attributes"].defaults
    found = load_config(Path(__file__).parents[1] / "configs" / "many-labels.toml")
    same = {"data": {"dataset": "manifest"}, "loss": tables["loss"]}
    same["training"] = {"criterion": tables["training"]["criterion"]}
    assert found == override(Config(), same)


def test_nested_lengths_are_read_and_checked():
    nested = {"loss": {"nested": "16,32,64"}}
    assert override(Config(), nested).loss.nested_lengths() == (16, 32, 64)
    assert Config().loss.nested_lengths() == ()
    for wrong, message in (
        ("16,x", "must be code lengths such as 16,32,64"),
        ("16,20,64", "multiples of 8"),
        ("32,16,64", "`loss.nested` must grow"),
        ("16,32", "last length of `loss.nested` must be `network.num_bits`"),
    ):
        with pytest.raises(ValueError, match=message):
            override(Config(), {"loss": {"nested": wrong}})
