"""Average precision of rankings by Hamming distance: tie-averaged, and in stable order.

With R relevant items in the database and rel(p) = 1 where the item at rank p is relevant,

    AP    = 1 / R         * sum over all ranks p of rel(p) * precision(p)
    AP@k  = 1 / min(k, R) * sum over ranks p <= k of rel(p) * precision(p)

The ranking is cut at `k`; the relevant items are not: R always counts the whole database.
A query without a relevant item has no average precision and gives NaN.
"""

import numpy as np

from udsph_tf.evaluation.counts import DistanceCounts
from udsph_tf.evaluation.pairs import RetrievalPairs

__all__ = [
    "average_precision",
    "harmonic_numbers",
    "stable_average_precision",
    "stable_average_precision_of_block",
]


def harmonic_numbers(n: int) -> np.ndarray:
    """Table of H(0) ... H(n), where H(p) = 1 + 1/2 + ... + 1/p and H(0) = 0.

    Args:
        n: last index, not negative.

    Returns:
        (n + 1,) float64.

    Raises:
        ValueError: `n` is negative.

    Example:
        >>> harmonic_numbers(2).tolist()
        [0.0, 1.0, 1.5]
    """
    if n < 0:
        raise ValueError(f"`n` must not be negative. Received: n={n!r}")
    table = np.zeros(n + 1)
    np.cumsum(1.0 / np.arange(1, n + 1), out=table[1:])
    return table


def average_precision(counts: DistanceCounts, k: int | None = None) -> np.ndarray:
    """Tie-averaged average precision: its exact mean over all orders of equally distant items.

    A group of n tied items, r of them relevant, follows N closer items, M of them relevant. Its
    item at rank N + i is relevant with probability r / n; if it is, the i - 1 tied items ahead of
    it hold (i - 1)(r - 1) / (n - 1) relevant ones on average. So the group adds

        r / n * sum_{i=1..m} (M + 1 + b (i - 1)) / (N + i),         b = (r - 1) / (n - 1)
      = r / n * (b m + (M + 1 - b (N + 1)) (H(N + m) - H(N)))

    with H the harmonic numbers and m <= n the ranks of the group within the cutoff.

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008; the closed form and the cutoff are added here.

    Args:
        counts: what `count_by_distance` returns.
        k: cutoff, at least 1; None means the whole ranking. A `k` beyond the database means the
            whole database.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a relevant item.

    Raises:
        ValueError: `k` is not a positive integer.

    Example:
        One relevant item, tied with one other: it comes first or second, (1 + 1/2) / 2.

        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, :, 3] = 1
        >>> average_precision(DistanceCounts(histogram)).tolist()
        [0.75]
    """
    items, relevant, before = counts.items, counts.relevant, counts.before
    places = counts.places(k)
    relevant_before = np.cumsum(relevant, axis=1) - relevant
    harmonic = harmonic_numbers(counts.num_database)

    slope = np.where(items > 1, (relevant - 1) / np.maximum(items - 1, 1), 0.0)
    reciprocal_ranks = harmonic[before + places] - harmonic[before]
    precisions = slope * places + (relevant_before + 1 - slope * (before + 1)) * reciprocal_ranks
    total = (relevant / np.maximum(items, 1) * precisions).sum(axis=1)

    denominator = counts.num_relevant
    if k is not None:
        denominator = np.minimum(denominator, counts.cutoff(k))
    return np.where(denominator > 0, total / np.maximum(denominator, 1), np.nan)


def stable_average_precision(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
) -> np.ndarray:
    """Average precision of the ranking by distance, then by place in the database.

    This is the order of a stable sort, the one most published numbers rest on. It depends on how
    the database happens to be ordered; `average_precision` does not.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a relevant item.

    Raises:
        ValueError: see `RetrievalPairs`.

    Example:
        Both items are one bit away; the irrelevant one comes first in the database.

        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000010]], dtype=np.uint8)
        >>> stable_average_precision(query, [[1]], database, [[0], [1]]).tolist()
        [0.5]
    """
    pairs = RetrievalPairs(query_packed, query_labels, database_packed, database_labels)
    return np.concatenate(
        [
            stable_average_precision_of_block(distances, shared > 0)
            for _, distances, shared in pairs.blocks(graded=False)
        ]
    )


def stable_average_precision_of_block(distances: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Average precision of each row in stable order, from pair matrices.

    Args:
        distances: (n, num_database) integers, not negative.
        relevant: (n, num_database) bool.

    Returns:
        (n,) float64 in [0, 1]; NaN for a row without a relevant item.

    Example:
        >>> distances = np.array([[2, 0, 2]])
        >>> relevant = np.array([[True, False, False]])
        >>> stable_average_precision_of_block(distances, relevant).tolist()
        [0.5]
    """
    # A stable sort of one-byte or two-byte integers is a radix sort, linear in the row's length.
    distances = distances.astype(np.min_scalar_type(int(distances.max())), copy=False)
    result = np.full(len(distances), np.nan)
    for row in range(len(distances)):
        order = np.argsort(distances[row], kind="stable")
        ranks = np.flatnonzero(relevant[row, order]) + 1
        if ranks.size:
            result[row] = (np.arange(1, ranks.size + 1) / ranks).mean()
    return result
