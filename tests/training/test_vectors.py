"""A data set of feature vectors from `fit` to every command that cannot take it."""

import keras
import numpy as np
import pytest

from udsph_tf.config import Config, override
from udsph_tf.data import CATALOGUE
from udsph_tf.export import export
from udsph_tf.serving import index_pairs
from udsph_tf.training import RunFolder, evaluate, fit
from udsph_tf.training.callbacks import Validation
from udsph_tf.training.material import prepare, run_pairs

SMALL = {
    "network": {"num_bits": 16, "hidden_dim": 64, "feature_dim": 32, "local_dim": 8},
    "training": {
        "batch_size": 20,
        "learning_rate": 3e-3,
        "label_epochs": 5,
        "separate_epochs": 2,
        "joint_epochs": 16,
        "refine_epochs": 2,
    },
}


@pytest.fixture(scope="module")
def configure(made_wikipedia):
    """Function from tables to a configuration that begins at the data set's own defaults."""

    def make(tables=None, root=made_wikipedia):
        config = override(Config(), CATALOGUE["wikipedia"].defaults)
        config = override(config, {"data": {"dataset": "wikipedia", "root": str(root)}, **SMALL})
        return override(config, tables or {})

    return make


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(configure, cache, tmp_path_factory):
    """A finished run without validation items. Only read it."""
    config = configure({"data": {"num_validation": -1}})
    return fit(config, tmp_path_factory.mktemp("runs") / "vectors", cache)


def test_fit_and_evaluate_vectors_test_rows_ask_and_all_others_are_found(run, cache):
    results = evaluate(run, cache)
    assert results["counts"] == {"train": 60, "database": 60, "query": 20}
    for name in ("image_to_text", "text_to_image"):
        assert results["directions"][name]["map"] > 0.6  # by chance: a third
    assert not list(cache.iterdir())
    assert not run.vocabulary.exists()


def test_fit_without_validation_keeps_the_last_epoch_and_says_so(run, cache):
    finished = run.require_finished()
    assert finished["validation_map"] is None
    assert finished["best_epoch"] == 20
    lines = run.read_history()
    assert len(lines) == 20
    assert "image_to_text" not in lines[-1]
    with pytest.raises(ValueError, match=r"holds back no validation items. .*num_validation=0"):
        evaluate(run, cache, role="validation")


def test_encoders_of_vectors_start_at_vectors_with_the_training_statistics(run, cache):
    material = prepare(run.config(), run, cache)
    rows = material.pairs.indices("query")
    for name, inputs in (("image", material.image), ("text", material.text)):
        encoder = run.load(f"{name}_encoder")
        vectors = inputs.batch(rows)["vector"]
        body = material.bodies.image if name == "image" else material.bodies.text
        ours = getattr(run.load(), f"{name}_hasher")
        np.testing.assert_array_equal(encoder(vectors)["hash"], ours(vectors)["hash"])
        (saved,) = [each for each in encoder._flatten_layers() if each.name == "standardize"]
        np.testing.assert_array_equal(saved.mean, body.get_layer("standardize").mean)


@pytest.mark.parametrize("stopped", [3, 7])
def test_fit_with_noise_stopped_and_resumed_ends_as_if_it_never_stopped(
    configure, cache, tmp_path, monkeypatch, eagerly, stopped
):
    """In the joint stage, and between two epochs of the last one."""
    tables = {"data": {"num_validation": 9}, "training": {"joint_epochs": 3}}
    config = configure({**tables, "image": {"vector_noise": 0.5}})
    whole = fit(config, tmp_path / "whole", cache)
    assert evaluate(whole, cache, role="validation")["counts"]["database"] == 51
    calls, validate = [], Validation.__call__

    def stop(self):
        calls.append(1)
        if len(calls) == stopped:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(config, tmp_path / "part", cache)
    resumed = fit(config, tmp_path / "part", cache, resume=True)
    assert resumed.read_json("state")["epoch"] == 7
    for one, two in zip(resumed.load().variables, whole.load().variables, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5, err_msg=one.path)


def test_statistics_are_of_training_items_alone(configure, cache, tmp_path):
    config = configure({"data": {"num_validation": 9}, "image": {"vector_form": "plain"}})
    folder = RunFolder(tmp_path / "run")
    folder.begin(config, resume=False)
    material = prepare(config, folder, cache)
    train = material.pairs.images[material.pairs.indices("train")]
    assert len(train) == 51
    kept = material.bodies.image.get_layer("standardize").mean
    np.testing.assert_allclose(kept, train.mean(axis=0), atol=1e-6)
    assert isinstance(material.bodies.image, keras.Model)


@pytest.mark.parametrize(
    ("section", "body"), [("image", "small_cnn"), ("text", "wordpiece"), ("text", "minilm")]
)
def test_fit_vectors_with_a_body_for_something_else_raises(
    configure, cache, tmp_path, section, body
):
    with pytest.raises(ValueError) as error:
        fit(configure({section: {"body": body}}), tmp_path / "run", cache)
    assert str(error.value) == (
        f"`wikipedia` holds feature vectors: `{section}.body` must be `vector`. "
        f"Received: {section}.body={body!r}"
    )


@pytest.mark.parametrize(("section", "what"), [("image", "pictures"), ("text", "words")])
def test_fit_pictures_and_words_with_the_vector_body_raises(
    tiny_config, cache, tmp_path, section, what
):
    config = override(tiny_config, {section: {"body": "vector"}})
    with pytest.raises(ValueError, match=f"`manifest` holds {what}: `{section}.body` must not be"):
        fit(config, tmp_path / "run", cache)


def test_export_and_index_of_vectors_raise_and_leave_nothing(run, tmp_path):
    pairs = run_pairs(run)
    with pytest.raises(ValueError, match="feature vectors, which have no image or text encoder"):
        export(run, tmp_path / "export", pairs.take([0]))
    with pytest.raises(ValueError, match="neither encoded nor indexed"):
        index_pairs(pairs, tmp_path / "export", tmp_path / "index")
    assert not list(tmp_path.iterdir())
