"""The real items that an export is calibrated and compared on."""

from dataclasses import dataclass

import numpy as np

from udsph_tf.data.images import ImageError, load_pixels, read_image
from udsph_tf.data.pairs import Pairs
from udsph_tf.data.tokenizer import as_bytes

__all__ = ["Items", "candidates", "held_back_items"]


@dataclass(frozen=True)
class Items:
    """n items of one modality.

    Args:
        encoded: pictures as files, or texts in UTF-8: what a SavedModel takes.
        rows: pixels (n, size, size, 3) uint8, or the texts as an array: what a TFLite file takes.
    """

    encoded: list[bytes]
    rows: np.ndarray

    def first(self, number: int) -> "Items":
        """The first `number` of them."""
        return Items(self.encoded[:number], self.rows[:number])


def held_back_items(pairs: Pairs, size: int) -> dict[str, Items]:
    """The items of each modality.

    Raises:
        ImageError: a picture cannot be used; the message names it.
    """
    data, pixels = zip(*(_picture(str(source), size) for source in pairs.images), strict=True)
    texts = [as_bytes(text) for text in pairs.texts]
    return {
        "image": Items(list(data), np.stack(pixels)),
        "text": Items(texts, np.array(texts, dtype=object)),
    }


def candidates(pairs: Pairs, number: int, size: int) -> np.ndarray:
    """(number, size, size, 3) pixels of pairs that lie evenly among all of them; fewer, if needed.

    Raises:
        ImageError: a picture cannot be used; the message names it.
    """
    rows = np.linspace(0, len(pairs) - 1, min(number, len(pairs))).astype(int)
    return np.stack([_picture(str(pairs.images[row]), size)[1] for row in rows])


def _picture(source: str, size: int) -> tuple[bytes, np.ndarray]:
    try:
        data = read_image(source)
        return data, load_pixels(data, size)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error
