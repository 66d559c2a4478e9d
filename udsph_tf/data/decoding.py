"""Many pictures at once: read and checked in one thread, decoded and resized on every core.

Python reads bytes and looks at headers, which is little work. One stream of `tf.data` decodes and
resizes, which is nearly all of it, outside of Python.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from udsph_tf.data.images import (
    ImageError,
    checked_picture,
    decode_and_resize,
    load_pixels,
    read_image,
)
from udsph_tf.litert import num_cores

__all__ = ["decode_pictures"]

_NO_PICTURE = b""
_AHEAD = 2
# Pictures that cross from Python at once: the crossing costs as much as reading one.
_READ_AT_ONCE = 32

Decoded = tuple[np.ndarray, dict[int, str]]


def decode_pictures(
    sources: Sequence[str], size: int, batch_size: int, start: int = 0
) -> Iterator[Decoded]:
    """Pixels of pictures in order, batch by batch, and why some have none.

    While the caller works on a batch, the next ones are decoded and those after them are read.

    Args:
        sources: n image sources (see `udsph_tf.data.images`).
        size: height and width in pixels.
        batch_size: pictures of a batch; the last may be smaller.
        start: the first row that is wanted.

    Yields:
        (k, size, size, 3) uint8, and by row the reason of each picture of the batch that cannot be
        used; its pixels are black.
    """
    while start < len(sources):
        # A picture that is damaged behind its header ends the stream: a new one begins after it.
        for decoded in _stream(sources, size, batch_size, start):
            yield decoded
            start += batch_size


def _stream(sources: Sequence[str], size: int, batch_size: int, start: int) -> Iterator[Decoded]:
    """Batches up to the end, or up to the first one that has such a picture (that one included)."""
    unread: dict[int, str] = {}

    def read(row: int) -> bytes:
        try:
            return checked_picture(read_image(sources[row]))
        except ImageError as error:
            unread[row] = str(error)
            return _NO_PICTURE

    def read_all() -> Iterator[list[bytes]]:
        for begin in range(start, len(sources), _READ_AT_ONCE):
            yield [read(row) for row in range(begin, min(begin + _READ_AT_ONCE, len(sources)))]

    decode = decode_and_resize(size)

    def decode_or_black(data):
        return tf.cond(
            tf.equal(data, _NO_PICTURE),
            lambda: tf.zeros([size, size, 3], tf.uint8),
            lambda: decode(data),
        )

    some = tf.TensorSpec([None], tf.string)
    pictures = tf.data.Dataset.from_generator(read_all, output_signature=some).unbatch()
    pictures = pictures.map(decode_or_black, num_parallel_calls=num_cores())
    batches = iter(pictures.batch(batch_size).prefetch(_AHEAD))
    for begin in range(start, len(sources), batch_size):
        rows = range(begin, min(begin + batch_size, len(sources)))
        try:
            pixels = np.asarray(next(batches))
        except tf.errors.OpError:
            yield _one_by_one(sources, size, rows)
            return
        yield pixels, {row: unread[row] for row in rows if row in unread}


def _one_by_one(sources: Sequence[str], size: int, rows: range) -> Decoded:
    pixels, failed = np.zeros((len(rows), size, size, 3), np.uint8), {}
    for position, row in enumerate(rows):
        try:
            pixels[position] = load_pixels(read_image(sources[row]), size)
        except ImageError as error:
            failed[row] = str(error)
    return pixels, failed
