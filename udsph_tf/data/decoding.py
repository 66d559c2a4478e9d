"""Many pictures at once: read, checked, decoded and resized by a thread a core."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from udsph_tf.data.images import ImageError, load_pixels, read_image
from udsph_tf.litert import num_cores

__all__ = ["decode_pictures"]

_AHEAD = 2
# Pictures that a thread takes at once.
_TAKEN_AT_ONCE = 16

Decoded = tuple[np.ndarray, dict[int, str]]


def decode_pictures(
    sources: Sequence[str], size: int, batch_size: int, start: int = 0
) -> Iterator[Decoded]:
    """Pixels of pictures in order, batch by batch, and why some have none.

    While the caller works on a batch, the next ones are read and decoded: nearly all of that work
    is done outside of Python, in libraries that let other threads go on meanwhile.

    Args:
        sources: n image sources (see `udsph_tf.data.images`).
        size: height and width in pixels.
        batch_size: pictures of a batch; the last may be smaller.
        start: the first row that is wanted.

    Yields:
        (k, size, size, 3) uint8, and by row the reason of each picture of the batch that cannot be
        used; its pixels are black.
    """
    pool, ahead = ThreadPoolExecutor(num_cores()), deque()
    try:
        for begin in range(start, len(sources), batch_size):
            rows = range(begin, min(begin + batch_size, len(sources)))
            ahead.append(_Batch(pool, sources, size, rows))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().decoded()
        while ahead:
            yield ahead.popleft().decoded()
    finally:
        pool.shutdown(cancel_futures=True)


class _Batch:
    """Pictures that are being decoded."""

    def __init__(self, pool: ThreadPoolExecutor, sources: Sequence[str], size: int, rows: range):
        self._sources, self._size, self._rows = sources, size, rows
        self._pixels = np.zeros((len(rows), size, size, 3), np.uint8)
        self._failed: dict[int, str] = {}
        self._tasks: list[Future] = [
            pool.submit(self._decode, rows[start : start + _TAKEN_AT_ONCE])
            for start in range(0, len(rows), _TAKEN_AT_ONCE)
        ]

    def _decode(self, rows: range) -> None:
        for row in rows:
            try:
                pixels = load_pixels(read_image(self._sources[row]), self._size)
                self._pixels[row - self._rows.start] = pixels
            except ImageError as error:
                self._failed[row] = str(error)

    def decoded(self) -> Decoded:
        """What the batch has become, once it is done."""
        for task in self._tasks:
            task.result()
        return self._pixels, dict(sorted(self._failed.items()))
