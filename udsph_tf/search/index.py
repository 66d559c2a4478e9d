"""The one interface that every Hamming index of this package offers."""

from typing import Protocol, runtime_checkable

import numpy as np

__all__ = ["HammingIndex"]


@runtime_checkable
class HammingIndex(Protocol):
    """Nearest packed codes by Hamming distance.

    An item has no name here, only a position: its place in the order in which codes were added.
    Whoever holds the items turns positions into names.
    """

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""

    def __len__(self) -> int:
        """Number of codes in the index."""

    def is_exact(self) -> bool:
        """Whether `search` always returns the true nearest neighbours."""

    def search(self, packed_queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest codes of every query, nearest first, equal distances by position.

        Args:
            packed_queries: (n, num_bits / 8) uint8.
            k: number of neighbours, at least 1; cut to the size of the index.

        Returns:
            distances: (n, k) int32, values in [0, num_bits], rising along a row.
            positions: (n, k) int64, values in [0, len(self)).

        Raises:
            ValueError: `packed_queries` does not fit the index, or `k` is not positive.
        """
