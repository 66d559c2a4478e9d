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

_AHEAD = 2

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
    return _decode(_read(sources), size)


class DecodeAhead:
    """`decode_pictures` of consecutive rows, and ahead of time those that come next.

    While the caller works on some rows, the next ones are decoded and those after them are read.

    Args:
        sources: image sources of all rows.
        size: height and width in pixels.

    A context manager: leaving it waits for what is under way.
    """

    def __init__(self, sources: Sequence[str], size: int):
        self._sources = sources
        self._size = size
        self._reader, self._decoder = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._under_way: dict[tuple[int, int], Future] = {}

    def __enter__(self) -> "DecodeAhead":
        return self

    def __exit__(self, *_) -> None:
        self._reader.shutdown(cancel_futures=True)
        self._decoder.shutdown(cancel_futures=True)

    def __call__(self, rows: np.ndarray) -> Decoded:
        """Pixels of consecutive rows, and by row the reasons of those that have none."""
        start, end = int(rows[0]), int(rows[-1]) + 1
        wanted = [(start, end)]
        for _ in range(_AHEAD):
            start_after, end_after = (
                wanted[-1][1],
                min(wanted[-1][1] + len(rows), len(self._sources)),
            )
            if end_after > start_after:
                wanted.append((start_after, end_after))
        self._under_way = {part: self._under_way.get(part) or self._begin(*part) for part in wanted}
        pixels, failed = self._under_way.pop((start, end)).result()
        return pixels, {start + position: why for position, why in failed.items()}

    def _begin(self, start: int, end: int) -> Future:
        read = self._reader.submit(_read, self._sources[start:end])
        return self._decoder.submit(lambda: _decode(read.result(), self._size))


def _read(sources: Sequence[str]) -> list[bytes | str]:
    """The bytes of each picture, or why it has none."""
    found: list[bytes | str] = []
    for source in sources:
        try:
            found.append(checked_picture(read_image(source)))
        except ImageError as error:
            found.append(str(error))
    return found


def _decode(read: list[bytes | str], size: int) -> Decoded:
    failed = {position: each for position, each in enumerate(read) if isinstance(each, str)}
    good = [position for position in range(len(read)) if position not in failed]
    pixels = np.zeros((len(read), size, size, 3), np.uint8)
    if not good:
        return pixels, failed
    try:
        rows = _decoded([read[position] for position in good], size)
        if not failed:
            return rows, failed
        pixels[good] = rows
    except tf.errors.OpError:
        # One of them is damaged behind its header. One by one, to know which.
        for position in good:
            try:
                pixels[position] = load_pixels(read[position], size)
            except ImageError as error:
                failed[position] = str(error)
    return pixels, failed


def _decoded(data: list[bytes], size: int) -> np.ndarray:
    pictures = tf.data.Dataset.from_tensor_slices(data)
    pictures = pictures.map(decode_and_resize(size), num_parallel_calls=num_cores())
    (pixels,) = pictures.batch(len(data))
    return pixels.numpy()
