"""SavedModels in TensorFlow Serving's layout: bytes or text in, packed codes out."""

from pathlib import Path

import keras
import tensorflow as tf

from udsph_tf.data.images import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS, decode_and_resize
from udsph_tf.data.picture_headers import REFUSALS, refusal
from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.litert import write_saved_model

__all__ = ["write_image_saved_model", "write_text_saved_model"]

_PARALLEL_DECODES = 16
_DAMAGED = "cannot be decoded: it is damaged, cut off, or of a kind that TensorFlow does not read"


def write_image_saved_model(folder: str | Path, writer: keras.Model) -> None:
    """Write the image encoder.

    Signatures, all with the outputs `packed` uint8[n, num_bits / 8] and `hash` float32[n,
    num_bits]; decoding and resizing are those of training, limits of size included:

    * `serving_default(image_bytes: string[n])` with JPEG, PNG, GIF, BMP or WebP inside. A picture
      that cannot be decoded fails the request with INVALID_ARGUMENT, which names it.
    * `with_mask(image_bytes: string[n])` has a code for every other picture of the request, and a
      third output `usable` bool[n]; the code of an unusable picture is all zeros.
    * `from_pixels(pixels: uint8[n, size, size, 3])`.

    Args:
        folder: the version folder, such as `image/1`.
        writer: from pixels to `packed` and `hash`.

    Raises:
        OSError: it cannot be written.
    """
    (pixels,) = writer.inputs
    size = pixels.shape[1]

    def from_pixels(pixels):
        number = tf.shape(pixels)[0]
        # TensorFlow 1's graph optimizer breaks convolutions of no picture: give them a black one.
        one = tf.zeros([tf.cast(number == 0, tf.int32), size, size, 3], tf.uint8)
        outputs = writer(tf.concat([pixels, one], 0), training=False)
        return {name: each[:number] for name, each in outputs.items()}

    def from_bytes(image_bytes):
        pixels, reasons = _decoded(image_bytes, size)
        bad = tf.where(reasons != "")[:, 0]
        first = tf.concat([bad, [0]], 0)[0]
        told = tf.gather(tf.concat([reasons, [""]], 0), first)
        told = tf.strings.join(["image_bytes[", tf.strings.as_string(first), "]: ", told])
        with tf.control_dependencies([tf.debugging.Assert(tf.size(bad) == 0, [told])]):
            return from_pixels(tf.identity(pixels))

    def with_mask(image_bytes):
        pixels, reasons = _decoded(image_bytes, size)
        usable = reasons == ""
        outputs = from_pixels(pixels)
        kept = usable[:, tf.newaxis]
        zeroed = {
            name: tf.where(kept, each, tf.zeros([], each.dtype)) for name, each in outputs.items()
        }
        return {**zeroed, "usable": usable}

    bytes_spec = [tf.TensorSpec([None], tf.string, name="image_bytes")]
    # Not tracked: the archive finds the variables of its endpoints, and would store those of a
    # tracked model a second time.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", from_bytes, bytes_spec)
    archive.add_endpoint("with_mask", with_mask, bytes_spec)
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


def _decoded(image_bytes: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels (n, size, size, 3) and reasons (n,), "" for a picture that was decoded.

    An operation that fails ends a graph's run. A data set alone can go on without the element
    that failed: what does not come out of it was not decodable.
    """
    decode = decode_and_resize(size)
    blank = tf.zeros([size, size, 3], tf.uint8)

    def read(index, data):
        refused = refusal(data, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS)
        return index, refused, tf.cond(refused == 0, lambda: decode(data), lambda: blank)

    number = tf.size(image_bytes, tf.int64)
    # One element more, so that there always is a batch; its place is past the end.
    last = tf.data.Dataset.from_tensors((number, 0, blank))
    rows, refused, pixels = (
        tf.data.Dataset.from_tensor_slices((tf.range(number), image_bytes))
        .map(read, num_parallel_calls=_PARALLEL_DECODES)
        .ignore_errors()
        .concatenate(last)
        .batch(number + 1)
        .get_single_element()
    )
    places, shape = rows[:, tf.newaxis], [number + 1]
    reasons = tf.tensor_scatter_nd_update(
        tf.fill(shape, _DAMAGED), places, tf.gather(tf.constant(REFUSALS), refused)
    )
    pixels = tf.scatter_nd(places, tf.cast(pixels, tf.int32), [number + 1, size, size, 3])
    return tf.cast(pixels[:-1], tf.uint8), reasons[:-1]
