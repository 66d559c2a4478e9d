"""Normalised discounted cumulative gain: rewards items that share more labels, early."""

import numpy as np

from udsph_tf.evaluation.counts import DistanceCounts

__all__ = ["GAINS", "ndcg_at_k"]

GAINS = ("linear", "exponential")
"""Gain of an item that shares s labels with the query: s, or 2^s - 1."""


def ndcg_at_k(counts: DistanceCounts, k: int, gain: str = "linear") -> np.ndarray:
    """Tie-averaged NDCG: expected DCG over all orders of tied items / DCG of the best ranking.

        DCG@k = sum over ranks p <= k of gain(p) / log2(p + 1)

    Every rank of a tie group holds the group's mean gain in expectation. The best ranking sorts
    the database by gain; it depends on the labels alone, so dividing by it keeps the expectation
    exact.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS
    20(4), 2002; the expectation over ties: McSherry and Najork, ECIR 2008.

    Args:
        counts: what `count_by_distance` returns with `graded=True`.
        k: cutoff, at least 1. A `k` beyond the database means the whole database.
        gain: "linear", the number s of shared labels, or "exponential", 2^s - 1.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a relevant item.

    Raises:
        ValueError: `k` is not a positive integer, `gain` is unknown, or `counts` is not graded.

    Example:
        Two tied items share one label and two labels: each rank expects a gain of 1.5, where the
        best first rank has 2.

        >>> histogram = np.zeros((1, 3, 9), dtype=int)
        >>> histogram[0, 1:, 4] = 1
        >>> ndcg_at_k(DistanceCounts(histogram), 1).tolist()
        [0.75]
    """
    if not counts.graded:
        raise ValueError(
            "`counts` must be graded, `count_by_distance(..., graded=True)`. Received: graded=False"
        )
    cutoff = counts.cutoff(k)
    gains = _gain_of_level(counts.histogram.shape[1], gain)
    discount_sums = _discount_sums(cutoff)

    # Level s of the labels against all distances: (s,) x (queries, s, distances).
    gain_sums = np.tensordot(counts.histogram, gains, axes=(1, 0))
    mean_gains = gain_sums / np.maximum(counts.items, 1)
    expected = _cumulated(mean_gains, counts.before, counts.items, discount_sums)

    # In the best ranking the groups are the levels, from the most shared labels to none.
    level_sizes = counts.histogram.sum(axis=2, dtype=np.int64)[:, ::-1]
    level_starts = np.cumsum(level_sizes, axis=1) - level_sizes
    best = _cumulated(gains[None, ::-1], level_starts, level_sizes, discount_sums)
    has_relevant = counts.num_relevant > 0
    return np.where(has_relevant, expected / np.where(has_relevant, best, 1.0), np.nan)


def _gain_of_level(num_levels: int, gain: str) -> np.ndarray:
    levels = np.arange(num_levels, dtype=np.float64)
    if gain == "linear":
        return levels
    if gain == "exponential":
        return np.exp2(levels) - 1
    raise ValueError(f"`gain` must be one of {GAINS}. Received: gain={gain!r}")


def _discount_sums(cutoff: int) -> np.ndarray:
    """Sums of 1 / log2(p + 1) over the first 0, 1, ... `cutoff` ranks."""
    sums = np.zeros(cutoff + 1)
    np.cumsum(1.0 / np.log2(np.arange(2, cutoff + 2)), out=sums[1:])
    return sums


def _cumulated(
    group_gains: np.ndarray, starts: np.ndarray, sizes: np.ndarray, discount_sums: np.ndarray
) -> np.ndarray:
    """Discounted gain of groups of ranks, each rank of a group holding the group's gain."""
    last = len(discount_sums) - 1
    ends = np.minimum(starts + sizes, last)
    discounts = discount_sums[ends] - discount_sums[np.minimum(starts, last)]
    return (group_gains * discounts).sum(axis=1)
