"""SavedModels in TensorFlow Serving's layout: bytes or text in, packed codes out."""

from pathlib import Path

import keras
import tensorflow as tf

from udsph_tf.data.images import decode_and_resize
from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.litert import write_saved_model

__all__ = ["write_image_saved_model", "write_text_saved_model"]

_PARALLEL_DECODES = 16


def write_image_saved_model(folder: str | Path, writer: keras.Model) -> None:
    """Write the image encoder.

    Signatures: `serving_default(image_bytes: string[n])` with JPEG, PNG, GIF, BMP or WebP inside,
    and `from_pixels(pixels: uint8[n, size, size, 3])`; both give `packed` uint8[n, num_bits / 8]
    and `hash` float32[n, num_bits]. Decoding and resizing are those of training.

    Args:
        folder: the version folder, such as `image/1`.
        writer: from pixels to `packed` and `hash`.

    Raises:
        OSError: it cannot be written.
    """
    (pixels,) = writer.inputs
    size = pixels.shape[1]
    decode = decode_and_resize(size)

    def from_pixels(pixels):
        return writer(pixels, training=False)

    def from_bytes(image_bytes):
        decoded = tf.map_fn(
            decode,
            image_bytes,
            fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
            parallel_iterations=_PARALLEL_DECODES,
        )
        return from_pixels(decoded)

    # Not tracked: the archive finds the variables of its endpoints, and would store those of a
    # tracked model a second time.
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", from_bytes, [tf.TensorSpec([None], tf.string, name="image_bytes")]
    )
    archive.add_endpoint(
        "from_pixels",
        from_pixels,
        [tf.TensorSpec([None, size, size, 3], tf.uint8, name="pixels")],
    )
    write_saved_model(archive, folder)


def write_text_saved_model(folder: str | Path, writer: keras.Model, tokenizer: Tokenizer) -> None:
    """Write the text encoder, tokenizer inside.

    Signature: `serving_default(text: string[n])` in UTF-8, with outputs as the image encoder's.

    Args:
        folder: the version folder, such as `text/1`.
        writer: from token ids to `packed` and `hash`.
        tokenizer: the run's tokenizer.

    Raises:
        OSError: it cannot be written.
    """

    def from_text(text):
        return writer(tokenizer.ids(text), training=False)

    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", from_text, [tf.TensorSpec([None], tf.string, name="text")]
    )
    write_saved_model(archive, folder)
