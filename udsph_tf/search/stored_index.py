"""A database that can be searched: codes, and the items behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from udsph_tf.search.hit import Hit, Item
from udsph_tf.search.index import HammingIndex

__all__ = ["StoredIndex"]


@dataclass(frozen=True)
class StoredIndex:
    """A database that can be searched: codes of both modalities and the items behind them.

    Args:
        image: the codes of the items' images.
        text: the codes of the items' texts; position i is the same item as in `image`.
        items: the items by position.
        model_checksum: names the model that made the codes.
        metadata: what the writer of the index wanted to remember.

    Example:
        >>> from udsph_tf.search import FaissIndex
        >>> codes = FaissIndex(num_bits=8)
        >>> codes.add(np.array([[0b0000], [0b0111]], dtype=np.uint8))
        >>> items = [Item("1", "a blue shirt", "1.jpg"), Item("2", "a red dress", "2.jpg")]
        >>> index = StoredIndex(codes, codes, items, model_checksum="9f3c", metadata={})
        >>> hits = index.search(np.array([[0b0011]], dtype=np.uint8), "image", k=1)
        >>> hits[0][0].item.text, hits[0][0].distance
        ('a red dress', 1)
    """

    image: HammingIndex
    text: HammingIndex
    items: Sequence[Item]
    model_checksum: str
    metadata: dict[str, Any]

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""
        return self.image.num_bits

    def __len__(self) -> int:
        return len(self.items)

    def search(
        self, packed_query: np.ndarray, modality: Literal["image", "text"], k: int
    ) -> list[list[Hit]]:
        """The `k` nearest items of every query.

        Args:
            packed_query: (n, num_bits / 8) uint8, codes of images or of texts.
            modality: which codes of the database are compared: "image" finds items by how they
                look, "text" by their words. The query may be of either modality.
            k: number of neighbours, at least 1; cut to the size of the database.

        Returns:
            For every query its hits, nearest first; equal distances in the order of the database.

        Raises:
            ValueError: `packed_query` does not fit, `modality` is unknown or `k` not positive.
        """
        if modality not in ("image", "text"):
            raise ValueError(f'`modality` must be "image" or "text". Received: {modality!r}')
        index = self.image if modality == "image" else self.text
        distances, positions = index.search(packed_query, k)
        return [
            [
                Hit(item=self.items[position], distance=distance, rank=rank)
                for rank, (distance, position) in enumerate(zip(*row, strict=True), start=1)
            ]
            for row in zip(distances.tolist(), positions.tolist(), strict=True)
        ]
