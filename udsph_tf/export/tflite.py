"""TFLite files of the two encoders, for phones and for bulk encoding."""

import keras
import tensorflow as tf

from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.litert import convert, convert_model

__all__ = ["image_tflite", "text_tflite"]


def image_tflite(writer: keras.Model, *, dynamic_range: bool = False) -> bytes:
    """`serving_default(pixels: uint8[n, size, size, 3])` to `packed` and `hash`, built-in ops only.

    Args:
        writer: from pixels to `packed` and `hash`.
        dynamic_range: store weights in 8 bits.
    """
    return convert_model(writer, dynamic_range=dynamic_range)


def text_tflite(writer: keras.Model, tokenizer: Tokenizer, *, dynamic_range: bool = False) -> bytes:
    """`serving_default(text: string[n])` to `packed` and `hash`, tokenizer inside.

    Besides built-in ops it uses tensorflow-text's, which a runtime registers from
    `tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`.

    Args:
        writer: from token ids to `packed` and `hash`.
        tokenizer: the run's tokenizer.
        dynamic_range: store weights in 8 bits.
    """
    return convert(
        lambda text: writer(tokenizer.ids(text), training=False),
        tf.TensorSpec([None], tf.string, name="text"),
        [writer],
        dynamic_range=dynamic_range,
        custom_ops=True,
    )
