"""TFLite files of the two encoders, for phones and for bulk encoding."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.export.flatbuffer import finish
from udsph_tf.export.int8_head import int8_head
from udsph_tf.export.quantization import quantize
from udsph_tf.litert import convert_model, convert_model_variants, convert_variants
from udsph_tf.networks.encoder import code_writer

__all__ = ["IMAGE_VARIANTS", "TEXT_VARIANTS", "image_int8_tflite", "image_tflite", "text_tflite"]

IMAGE_VARIANTS = ("float32", "float16", "dynamic", "int8")
"""int8: convolutions in whole numbers of 8 bits; the others differ in how weights are stored."""
TEXT_VARIANTS = ("float32", "dynamic")


def image_tflite(
    writer: keras.Model,
    facts: Callable[[str], dict],
    variants: Sequence[str] = ("float32", "float16", "dynamic"),
) -> dict[str, bytes]:
    """`serving_default(pixels: uint8[n, size, size, 3])` to `packed` and `hash`, built-in ops only.

    Args:
        writer: from pixels to `packed` and `hash`.
        facts: from a variant to what its file says of itself, see `finish`.
        variants: `"float32"`, `"float16"` or `"dynamic"`.

    Returns:
        A file for each variant.
    """
    files = convert_model_variants(writer, variants)
    return {each: finish(file, "image encoder", facts(each)) for each, file in files.items()}


def image_int8_tflite(
    encoder: keras.Model,
    pixels: np.ndarray,
    facts: dict,
    *,
    with_hash: bool = False,
    head: str = "plain",
    more_pixels: np.ndarray | None = None,
) -> bytes:
    """`serving_default(pixels: uint8[n, size, size, 3])` to `packed`, convolutions in 8 bits.

    Args:
        encoder: the image encoder, from pixels; changed for a moment, and set back.
        pixels: (m, size, size, 3) uint8 of training items: what is met in the network is
            measured on them. See `hard_cases`.
        facts: what the file says of itself, see `finish`.
        with_hash: give `hash` too.
        head: what is done about the head, one of `int8_head.HEADS`.
        more_pixels: pictures of training items that the head is changed by; `pixels` by default.
    """
    with int8_head(encoder, pixels, pixels if more_pixels is None else more_pixels, head):
        writer = code_writer(encoder, "image_codes")
        if not with_hash:
            writer = keras.Model(writer.input, {"packed": writer.output["packed"]})
        content = convert_model(writer)
    return finish(quantize(content, pixels), "image encoder", facts)


def text_tflite(
    writer: keras.Model,
    tokenizer: Tokenizer,
    facts: Callable[[str], dict],
    variants: Sequence[str] = TEXT_VARIANTS,
) -> dict[str, bytes]:
    """`serving_default(text: string[n])` to `packed` and `hash`, tokenizer inside.

    Besides built-in ops it uses tensorflow-text's, which a runtime registers from
    `tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`.

    Args:
        writer: from token ids to `packed` and `hash`.
        tokenizer: the run's tokenizer.
        facts: from a variant to what its file says of itself, see `finish`.
        variants: `"float32"` or `"dynamic"`.

    Returns:
        A file for each variant.
    """
    files = convert_variants(
        lambda text: writer(tokenizer.ids(text), training=False),
        tf.TensorSpec([None], tf.string, name="text"),
        variants,
        custom_ops=True,
    )
    return {each: finish(file, "text encoder", facts(each)) for each, file in files.items()}
