"""How many database items, relevant and not, lie at each Hamming distance of a query.

A code of K bits has only K + 1 possible distances, so a ranking by Hamming distance is a row of
K + 1 groups of tied items. All measures of this package are functions of the group sizes. They are
exact, and a database of any length is reduced to a few hundred numbers a query.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from udsph_tf.evaluation.pairs import RetrievalPairs

__all__ = ["DistanceCounts", "block_histogram", "check_k", "count_by_distance"]

# Pairs counted in one step; `bincount` wants 8-byte keys, and 2 MB of them stay in the cache.
_STEP_PAIRS = 1 << 18


@dataclass(frozen=True)
class DistanceCounts:
    """Database items of each query, counted by distance and by number of shared labels.

    Args:
        histogram: (num_queries, max_shared + 1, num_bits + 1) integers; `histogram[q, s, d]` items
            of the database share `s` labels with query `q` and lie at distance `d` from it.
        graded: False where `s` only says "at least one" (then `max_shared` is 1).

    Example:
        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, 1, 0], histogram[0, 0, 3], histogram[0, 1, 3] = 1, 4, 2
        >>> counts = DistanceCounts(histogram)
        >>> counts.items[0, :4].tolist(), counts.relevant[0, :4].tolist()
        ([1, 0, 0, 6], [1, 0, 0, 2])
        >>> counts.before[0, :5].tolist(), counts.places(3)[0, :4].tolist()
        ([0, 1, 1, 1, 7], [1, 0, 0, 2])
    """

    histogram: np.ndarray
    graded: bool = True

    def __post_init__(self):
        if self.histogram.ndim != 3 or self.histogram.shape[1] < 2 or not self.histogram.size:
            raise ValueError(
                "`histogram` must have shape (num_queries, max_shared + 1, num_bits + 1) with "
                f"`max_shared` at least 1. Received: shape={self.histogram.shape}"
            )

    @property
    def num_queries(self) -> int:
        """Number of queries."""
        return self.histogram.shape[0]

    @property
    def num_bits(self) -> int:
        """Code length."""
        return self.histogram.shape[2] - 1

    @cached_property
    def num_database(self) -> int:
        """Number of database items."""
        return int(self.histogram[0].sum(dtype=np.int64))

    @cached_property
    def items(self) -> np.ndarray:
        """(num_queries, num_bits + 1) int64, items at each distance."""
        return self.histogram.sum(axis=1, dtype=np.int64)

    @cached_property
    def relevant(self) -> np.ndarray:
        """(num_queries, num_bits + 1) int64, relevant items at each distance."""
        return self.histogram[:, 1:].sum(axis=1, dtype=np.int64)

    @cached_property
    def num_relevant(self) -> np.ndarray:
        """(num_queries,) int64, relevant items in the whole database."""
        return self.relevant.sum(axis=1)

    @cached_property
    def before(self) -> np.ndarray:
        """(num_queries, num_bits + 1) int64, items strictly closer than each distance."""
        return np.cumsum(self.items, axis=1) - self.items

    def places(self, k: int | None = None) -> np.ndarray:
        """Ranks within the first `k` that the items of each distance occupy.

        Args:
            k: cutoff; None means the whole database.

        Returns:
            (num_queries, num_bits + 1) int64, each row summing to min(k, num_database).
        """
        if k is None:
            return self.items
        return np.clip(self.cutoff(k) - self.before, 0, self.items)

    def cutoff(self, k: int) -> int:
        """Return min(k, num_database): a cutoff past the end means the whole database.

        Raises:
            ValueError: `k` is not a positive integer.
        """
        return min(check_k(k), self.num_database)


def check_k(k: int) -> int:
    """Return `k` if it is a usable cutoff.

    Raises:
        ValueError: `k` is not a positive integer.
    """
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k <= 0:
        raise ValueError(f"`k` must be a positive integer. Received: k={k!r}")
    return int(k)


def count_by_distance(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
    *,
    graded: bool = True,
) -> DistanceCounts:
    """Count the database items of every query by Hamming distance and number of shared labels.

    Time is linear in queries x database; memory beyond the inputs is the result, a boolean copy of
    the labels, and one block of pairs (tens of megabytes, or a few bytes for each database item).

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.
        graded: keep the number of shared labels (needed for NDCG); False keeps only relevant or
            not, which is smaller.

    Returns:
        `DistanceCounts`.

    Raises:
        ValueError: see `RetrievalPairs`.

    Example:
        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000010], [0b11111111]], dtype=np.uint8)
        >>> counts = count_by_distance(query, [[1, 0]], database, [[1, 0], [0, 1], [1, 1]])
        >>> counts.items.tolist()
        [[0, 2, 0, 0, 0, 0, 0, 0, 1]]
        >>> counts.relevant.tolist()
        [[0, 1, 0, 0, 0, 0, 0, 0, 1]]
    """
    pairs = RetrievalPairs(query_packed, query_labels, database_packed, database_labels)
    levels = max(1, pairs.max_shared if graded else 1)
    histogram = np.concatenate(
        [
            block_histogram(distances, shared, levels, pairs.num_bits)
            for _, distances, shared in pairs.blocks(graded)
        ]
    )
    return DistanceCounts(histogram, graded)


def block_histogram(
    distances: np.ndarray, shared: np.ndarray, max_shared: int, num_bits: int
) -> np.ndarray:
    """Joint histogram of distance and number of shared labels, a row of pairs at a time.

    Args:
        distances: (n, num_database) integers in [0, num_bits].
        shared: (n, num_database) integers in [0, max_shared].
        max_shared: largest number of shared labels, at least 1.
        num_bits: code length.

    Returns:
        (n, max_shared + 1, num_bits + 1) int32, or int64 for databases that int32 cannot count.

    Example:
        >>> block_histogram(np.array([[0, 1, 1]]), np.array([[1, 0, 1]]), 1, 2).tolist()
        [[[0, 1, 0], [1, 1, 0]]]
    """
    num_rows, num_database = distances.shape
    width = num_bits + 1
    cells = (max_shared + 1) * width
    count_type = np.int32 if num_database <= np.iinfo(np.int32).max else np.int64
    histogram = np.zeros((num_rows, cells), dtype=count_type)
    # One `bincount` over both numbers at once: it is the slowest step of all.
    for row in range(num_rows):
        for start in range(0, num_database, _STEP_PAIRS):
            step = slice(start, start + _STEP_PAIRS)
            keys = shared[row, step].astype(np.intp)
            keys *= width
            keys += distances[row, step]
            histogram[row] += np.bincount(keys, minlength=cells).astype(count_type)
    return histogram.reshape(num_rows, max_shared + 1, width)
