from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's operations)

from udsph_tf.artefacts import ExportError
from udsph_tf.codes import binarize, pack
from udsph_tf.data.images import load_pixels
from udsph_tf.export import probe
from udsph_tf.export.contract import saved_model_operations
from udsph_tf.export.verification import NEAR_ZERO, run_saved_models

# Runs in the place of TensorFlow: the first model writes its outputs, the second fails.
PROBE_THAT_FAILS = """
import pathlib, sys
pathlib.Path(sys.argv[3]).touch()
raise RuntimeError("no such operation")
"""


@pytest.fixture(scope="module")
def image_model(tiny_export):
    return tf.saved_model.load(str(tiny_export / "image" / "1"))


@pytest.fixture(scope="module")
def text_model(tiny_export):
    return tf.saved_model.load(str(tiny_export / "text" / "1"))


def assert_equal_codes(logits, packed):
    different = np.unpackbits(packed, axis=1) != (logits >= 0)
    assert np.abs(logits[different]).max(initial=0) < NEAR_ZERO


def test_saved_models_without_udsph_tf_write_keras_codes(
    tiny_export, keras_side, pictures, pixels, texts, tmp_path, monkeypatch
):
    # The process that runs it finds a udsph_tf that cannot be imported.
    (tmp_path / "udsph_tf").mkdir()
    (tmp_path / "udsph_tf" / "__init__.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    image, text = (tiny_export / modality / "1" for modality in ("image", "text"))
    outputs = run_saved_models({image: pictures, text: texts})
    for folder, logits in ((image, keras_side.image(pixels)), (text, keras_side.text(texts))):
        for loader in ("", "session_"):
            assert_equal_codes(logits, outputs[folder][f"{loader}packed"])
            np.testing.assert_allclose(outputs[folder][f"{loader}hash"], np.tanh(logits), atol=1e-5)


def test_run_saved_models_where_udsph_tf_is_imported_is_an_error(tiny_export, tmp_path):
    # As this process has imported it.
    np.savez(tmp_path / "in.npz", offsets=[0, 5], data=np.frombuffer(b"a red", np.uint8))
    paths = [str(tiny_export / "text" / "1"), *(str(tmp_path / f"{n}.npz") for n in ("in", "out"))]
    with pytest.raises(RuntimeError, match="udsph_tf was imported"):
        probe.main(*paths)
    assert not (tmp_path / "out.npz").exists()


def test_run_saved_models_names_the_one_that_failed_and_says_why(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("")
    (tmp_path / "tensorflow_text.py").write_text("")
    (tmp_path / "tensorflow.py").write_text(PROBE_THAT_FAILS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    expected = r"^second does not run:\n(?s:.*)RuntimeError: no such operation"
    with pytest.raises(ExportError, match=expected):
        run_saved_models({Path("first"): [b"a"], Path("second"): [b"b"], Path("third"): [b"c"]})


def test_image_saved_model_signatures_have_names_types_and_shapes(image_model):
    names = ("serving_default", "with_mask", "from_pixels")
    assert set(image_model.signatures) == set(names)
    default, with_mask, from_pixels = (image_model.signatures[name] for name in names)
    for signature in (default, with_mask):
        assert signature.structured_input_signature[1] == {
            "image_bytes": tf.TensorSpec([None], tf.string, name="image_bytes")
        }
    assert from_pixels.structured_input_signature[1] == {
        "pixels": tf.TensorSpec([None, 32, 32, 3], tf.uint8, name="pixels")
    }
    for signature in (default, from_pixels):
        assert_output_types(signature)
    usable = with_mask.structured_outputs["usable"]
    assert (usable.dtype, usable.shape.as_list()) == (tf.bool, [None])
    assert set(with_mask.structured_outputs) == {"packed", "hash", "usable"}


def test_text_saved_model_signatures_have_names_types_and_shapes(text_model):
    assert set(text_model.signatures) == {"serving_default"}
    signature = text_model.signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "text": tf.TensorSpec([None], tf.string, name="text")
    }
    assert_output_types(signature)


def assert_output_types(signature):
    outputs = signature.structured_outputs
    assert set(outputs) == {"packed", "hash"}
    assert outputs["packed"].dtype == tf.uint8
    assert outputs["packed"].shape.as_list() == [None, 2]
    assert outputs["hash"].dtype == tf.float32
    assert outputs["hash"].shape.as_list() == [None, 16]


def test_from_pixels_equals_the_path_of_bytes(image_model, pictures, pixels):
    by_bytes = image_model.signatures["serving_default"](image_bytes=tf.constant(pictures))
    by_pixels = image_model.signatures["from_pixels"](pixels=tf.constant(pixels))
    for name in ("packed", "hash"):
        np.testing.assert_array_equal(by_bytes[name], by_pixels[name])


def test_packed_has_the_signs_of_hash(image_model, text_model, pixels, texts):
    for outputs in (
        image_model.signatures["from_pixels"](pixels=tf.constant(pixels)),
        text_model.signatures["serving_default"](text=tf.constant(texts)),
    ):
        np.testing.assert_array_equal(outputs["packed"], pack(binarize(outputs["hash"])))


@pytest.mark.parametrize("number", [1, 3, 64])
def test_batches_of_any_size_give_each_item_its_own_code(
    image_model, text_model, keras_side, pictures, pixels, texts, number
):
    by_bytes = image_model.signatures["serving_default"](image_bytes=tf.constant(pictures[:number]))
    assert_equal_codes(keras_side.image(pixels[:number]), by_bytes["packed"].numpy())
    by_text = text_model.signatures["serving_default"](text=tf.constant(texts[:number]))
    assert_equal_codes(keras_side.text(texts[:number]), by_text["packed"].numpy())


def test_text_saved_model_uses_only_the_two_text_ops_that_serving_knows(tiny_export):
    # TensorFlow Serving's images embed tensorflow-text 2.12, which lacks newer operations.
    added = {
        op
        for op in saved_model_operations(tiny_export / "text" / "1")
        if not hasattr(tf.raw_ops, op)
    }
    assert added == {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}


def test_image_saved_model_uses_core_ops_alone(tiny_export):
    ops = saved_model_operations(tiny_export / "image" / "1")
    assert "DecodeImage" in ops
    assert not {op for op in ops if not hasattr(tf.raw_ops, op) or "PyFunc" in op}


@pytest.mark.parametrize("modality", ["image", "text"])
def test_saved_model_holds_every_weight_once(tiny_export, keras_side, modality):
    prefix = tiny_export / modality / "1" / "variables" / "variables"
    shapes = [
        tuple(shape)
        for name, shape in tf.train.list_variables(str(prefix))
        if name.endswith("VARIABLE_VALUE")
    ]
    encoder = getattr(keras_side, f"{modality}_encoder")
    assert 0 < sum(map(np.prod, shapes)) <= encoder.count_params()
    data = prefix.with_name("variables.data-00000-of-00001")
    assert data.stat().st_size < 4 * encoder.count_params() + 100_000


def test_strange_texts_have_keras_codes(text_model, keras_side, strange_texts):
    outputs = text_model.signatures["serving_default"](text=tf.constant(strange_texts))
    assert_equal_codes(keras_side.text(strange_texts), outputs["packed"].numpy())
    assert np.isfinite(outputs["hash"]).all()


def test_strange_pictures_have_keras_codes(image_model, keras_side, strange_pictures):
    data = list(strange_pictures.values())
    outputs = image_model.signatures["serving_default"](image_bytes=tf.constant(data))
    logits = keras_side.image(np.stack([load_pixels(each, 32) for each in data]))
    np.testing.assert_allclose(outputs["hash"], np.tanh(logits), atol=1e-5)
    assert_equal_codes(logits, outputs["packed"].numpy())


@pytest.mark.parametrize("signature", ["serving_default", "with_mask"])
def test_no_pictures_have_no_codes(image_model, signature):
    outputs = image_model.signatures[signature](image_bytes=tf.constant([], tf.string))
    assert (outputs["packed"].shape, outputs["hash"].shape) == ((0, 2), (0, 16))


def test_no_texts_and_no_pixels_have_no_codes(image_model, text_model):
    for outputs in (
        text_model.signatures["serving_default"](text=tf.constant([], tf.string)),
        image_model.signatures["from_pixels"](pixels=tf.zeros([0, 32, 32, 3], tf.uint8)),
    ):
        assert (outputs["packed"].shape, outputs["hash"].shape) == ((0, 2), (0, 16))
