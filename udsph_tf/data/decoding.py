"""Many pictures at once: read and checked in one thread, decoded and resized on every core.

Python reads bytes and looks at headers, which is little work. `tf.data` decodes and resizes, which
is nearly all of it, outside of Python.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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

__all__ = ["DecodeAhead", "decode_pictures"]

Decoded = tuple[np.ndarray, dict[int, str]]


def decode_pictures(sources: Sequence[str], size: int) -> Decoded:
    """Pixels of pictures, and why some have none.

    Args:
        sources: n image sources (see `udsph_tf.data.images`).
        size: height and width in pixels.

    Returns:
        (n, size, size, 3) uint8, and by position the reason of each picture that cannot be used;
        its pixels are black.
    """
    data, failed = {}, {}
    for position, source in enumerate(sources):
        try:
            data[position] = checked_picture(read_image(source))
        except ImageError as error:
            failed[position] = str(error)
    pixels = np.zeros((len(sources), size, size, 3), np.uint8)
    if not data:
        return pixels, failed
    try:
        rows = _decoded(list(data.values()), size)
        if failed:
            pixels[list(data)] = rows
        else:
            pixels = rows
    except tf.errors.OpError:
        # One of them is damaged behind its header. One by one, to know which.
        for position, each in data.items():
            try:
                pixels[position] = load_pixels(each, size)
            except ImageError as error:
                failed[position] = str(error)
    return pixels, failed


class DecodeAhead:
    """`decode_pictures` of consecutive rows, the next ones while the caller works on these.

    Args:
        sources: image sources of all rows.
        size: height and width in pixels.

    A context manager: leaving it waits for what is under way.
    """

    def __init__(self, sources: Sequence[str], size: int):
        self._sources = sources
        self._size = size
        self._thread = ThreadPoolExecutor(1)
        self._next: tuple[int, int, Future] | None = None

    def __enter__(self) -> "DecodeAhead":
        return self

    def __exit__(self, *_) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, rows: np.ndarray) -> Decoded:
        """Pixels of consecutive rows, and by row the reasons of those that have none."""
        start, end = int(rows[0]), int(rows[-1]) + 1
        if self._next is not None and self._next[:2] == (start, end):
            under_way = self._next[2]
        else:
            under_way = self._begin(start, end)
        pixels, failed = under_way.result()
        after = min(end + len(rows), len(self._sources))
        self._next = (end, after, self._begin(end, after)) if after > end else None
        return pixels, {start + position: why for position, why in failed.items()}

    def _begin(self, start: int, end: int) -> Future:
        return self._thread.submit(decode_pictures, self._sources[start:end], self._size)


def _decoded(data: list[bytes], size: int) -> np.ndarray:
    pictures = tf.data.Dataset.from_tensor_slices(data)
    pictures = pictures.map(decode_and_resize(size), num_parallel_calls=num_cores())
    (pixels,) = pictures.batch(len(data))
    return pixels.numpy()
