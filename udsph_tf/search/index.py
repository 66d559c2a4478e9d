"""The one interface that every Hamming index of this package offers."""

from typing import Protocol, runtime_checkable

import numpy as np

__all__ = ["HammingIndex", "checked_k", "checked_mask", "checked_packed"]


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

    def search(
        self, packed_queries: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest codes of every query, nearest first, equal distances by position.

        Args:
            packed_queries: (n, num_bits / 8) uint8.
            k: number of neighbours, at least 1; cut to the number of codes searched.
            among: (len(self),) bool, the positions to search; all by default.

        Returns:
            distances: (n, k) int32, values in [0, num_bits], rising along a row.
            positions: (n, k) int64, values in [0, len(self)).

        Raises:
            ValueError: `packed_queries` or `among` does not fit the index, or `k` is not positive.
        """

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """The packed codes at `positions`, (n, num_bits / 8) uint8."""


def checked_packed(name: str, packed: np.ndarray, num_bits: int) -> np.ndarray:
    """`packed` in one piece of memory, if it has codes of `num_bits` bits.

    Raises:
        ValueError: it has not.
    """
    packed = np.asarray(packed)
    num_bytes = num_bits // 8
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != num_bytes:
        raise ValueError(
            f"`{name}` must be packed codes, uint8 of shape (n, {num_bytes}) for "
            f"{num_bits} bits. Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    return np.ascontiguousarray(packed)


def checked_k(k: int) -> int:
    """`k`, if it is a positive integer.

    Raises:
        ValueError: it is not.
    """
    is_integer = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
    if not is_integer or k <= 0:
        raise ValueError(f"`k` must be a positive integer. Received: k={k!r}")
    return int(k)


def checked_mask(among: np.ndarray | None, size: int) -> np.ndarray | None:
    """`among`, or None where it lets every position through.

    Raises:
        ValueError: it is not `size` booleans.
    """
    if among is None:
        return None
    among = np.asarray(among)
    if among.dtype != bool or among.shape != (size,):
        raise ValueError(
            f"`among` must be {size} booleans. Received: dtype={among.dtype}, shape={among.shape}"
        )
    return None if among.all() else among
