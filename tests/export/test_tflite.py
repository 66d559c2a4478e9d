import json

import numpy as np
import pytest
from ai_edge_litert import interpreter, schema_py_generated
from tensorflow_text import tflite_registrar

from udsph_tf.codes import binarize, pack
from udsph_tf.export.tflite import IMAGE_VARIANTS
from udsph_tf.export.verification import NEAR_ZERO

DYNAMIC_AGREEMENT = 0.97
"""Share of bits that the 8-bit files must have in common with the Keras model."""


def opened(path):
    """The file's interpreter and signature, as a device would open it."""
    make, options = interpreter.Interpreter, {}
    if path.name.startswith("text"):
        make = interpreter.InterpreterWithCustomOps
        options["custom_op_registerers"] = tflite_registrar.SELECT_TFTEXT_OPS
    loaded = make(model_path=str(path), num_threads=1, **options)
    return loaded, loaded.get_signature_runner("serving_default")


def facts_of(path):
    """The JSON that an export writes into a file's metadata."""
    model = schema_py_generated.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (buffer,) = (each.buffer for each in model.metadata if each.name == b"udsph_tf.json")
    return json.loads(bytes(model.buffers[buffer].data))


def ops_of(path):
    """Names of the built-in and the custom operations of a file."""
    model = schema_py_generated.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {
        value: name
        for name, value in vars(schema_py_generated.BuiltinOperator).items()
        if not name.startswith("_")
    }
    codes = [
        (max(c.builtinCode, c.deprecatedBuiltinCode), c.customCode) for c in model.operatorCodes
    ]
    return (
        {names[code] for code, custom in codes if custom is None},
        {custom.decode() for _, custom in codes if custom is not None},
    )


def as_rows(texts):
    return np.array(texts, dtype=object)


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic"])
def test_image_tflite_takes_uint8_pixels_and_gives_packed_and_hash(tiny_export, variant):
    _, run = opened(tiny_export / f"image.{variant}.tflite")
    ((name, details),) = run.get_input_details().items()
    assert (name, details["dtype"]) == ("pixels", np.uint8)
    assert details["shape_signature"].tolist() == [-1, 32, 32, 3]
    assert_output_types(run)


@pytest.mark.parametrize("variant", ["float32", "dynamic"])
def test_text_tflite_takes_strings_and_gives_packed_and_hash(tiny_export, variant):
    _, run = opened(tiny_export / f"text.{variant}.tflite")
    ((name, details),) = run.get_input_details().items()
    assert (name, details["dtype"]) == ("text", np.bytes_)
    assert details["shape_signature"].tolist() == [-1]
    assert_output_types(run)


def assert_output_types(run):
    details = run.get_output_details()
    assert set(details) == {"packed", "hash"}
    assert details["packed"]["dtype"] == np.uint8
    assert details["packed"]["shape_signature"].tolist() == [-1, 2]
    assert details["hash"]["dtype"] == np.float32
    assert details["hash"]["shape_signature"].tolist() == [-1, 16]


@pytest.mark.parametrize("number", [1, 3, 64])
def test_float32_files_write_keras_codes_for_any_batch(
    tiny_export, keras_side, pixels, texts, number
):
    _, image = opened(tiny_export / "image.float32.tflite")
    _, text = opened(tiny_export / "text.float32.tflite")
    for outputs, logits in (
        (image(pixels=pixels[:number]), keras_side.image(pixels[:number])),
        (text(text=as_rows(texts[:number])), keras_side.text(texts[:number])),
    ):
        different = np.unpackbits(outputs["packed"], axis=1) != (logits >= 0)
        assert np.abs(logits[different]).max(initial=0) < NEAR_ZERO
        np.testing.assert_allclose(outputs["hash"], np.tanh(logits), atol=1e-4)
        np.testing.assert_array_equal(outputs["packed"], pack(binarize(outputs["hash"])))


def test_dynamic_files_agree_with_keras_in_nearly_every_bit(tiny_export, keras_side, pixels, texts):
    _, image = opened(tiny_export / "image.dynamic.tflite")
    _, text = opened(tiny_export / "text.dynamic.tflite")
    for outputs, logits in (
        (image(pixels=pixels), keras_side.image(pixels)),
        (text(text=as_rows(texts)), keras_side.text(texts)),
    ):
        equal = np.unpackbits(outputs["packed"], axis=1) == (logits >= 0)
        assert equal.mean() >= DYNAMIC_AGREEMENT
        np.testing.assert_array_equal(outputs["packed"], pack(binarize(outputs["hash"])))


def test_strange_texts_have_keras_codes(tiny_export, keras_side, strange_texts):
    _, run = opened(tiny_export / "text.float32.tflite")
    logits = keras_side.text(strange_texts)
    together = run(text=as_rows(strange_texts))["packed"].copy()
    different = np.unpackbits(together, axis=1) != (logits >= 0)
    assert np.abs(logits[different]).max(initial=0) < NEAR_ZERO
    for row, each in enumerate(strange_texts):
        np.testing.assert_array_equal(run(text=as_rows([each]))["packed"][0], together[row])


@pytest.mark.parametrize("variant", IMAGE_VARIANTS)
def test_image_tflite_uses_built_in_ops_alone(tiny_export, variant):
    built_in, custom = ops_of(tiny_export / f"image.{variant}.tflite")
    assert "CONV_2D" in built_in
    assert custom == set()


def test_int8_file_has_integer_convolutions_and_packed_alone(tiny_export):
    interpreter, run = opened(tiny_export / "image.int8.tflite")
    assert set(run.get_output_details()) == {"packed"}
    assert run.get_input_details()["pixels"]["dtype"] == np.uint8
    maps = [
        each["dtype"]
        for each in interpreter.get_tensor_details()
        if len(each["shape"]) == 4 and each["quantization_parameters"]["scales"].size
    ]
    assert maps and set(maps) <= {np.int8, np.uint8}


def test_int8_file_agrees_with_keras_in_most_bits(tiny_export, keras_side, pixels):
    _, run = opened(tiny_export / "image.int8.tflite")
    packed = run(pixels=pixels)["packed"]
    equal = np.unpackbits(packed, axis=1) == (keras_side.image(pixels) >= 0)
    assert equal.mean() >= 0.9


@pytest.mark.parametrize("variant", IMAGE_VARIANTS)
def test_files_say_what_they_are(tiny_export, variant):
    assert facts_of(tiny_export / f"image.{variant}.tflite") == {
        "num_bits": 16,
        "bit_order": "big",
        "size": 32,
        "modality": "image",
        "variant": variant,
    }


@pytest.mark.parametrize("variant", ["float32", "dynamic"])
def test_text_tflite_adds_only_the_ops_that_its_registrar_brings(tiny_export, variant):
    built_in, custom = ops_of(tiny_export / f"text.{variant}.tflite")
    assert "FULLY_CONNECTED" in built_in
    assert custom == {
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "RaggedTensorToTensor",
    }


def test_float32_files_hold_the_weights_and_dynamic_ones_a_quarter(tiny_export, keras_side):
    whole = (tiny_export / "image.float32.tflite").stat().st_size
    assert whole > 0.95 * 4 * keras_side.image_encoder.count_params()
    assert (tiny_export / "image.dynamic.tflite").stat().st_size < 0.35 * whole
