"""Precision and recall: at a cutoff of the ranking, and within a Hamming radius.

At a cutoff, items at one distance are tied, and the values are exact means over all orders of the
tied items. Within a radius there is nothing to average: all items of a distance are in or out.

All functions give one value a query, and NaN where that value is undefined. A query without a
relevant item is undefined throughout, so that every measure is a mean over the same queries.
"""

from typing import NamedTuple

import numpy as np

from udsph_tf.evaluation.counts import DistanceCounts

__all__ = [
    "RadiusCurve",
    "mean_of_defined",
    "precision_at_k",
    "precision_recall_by_radius",
    "recall_at_k",
]


class RadiusCurve(NamedTuple):
    """Precision and recall within every Hamming radius, one row a query.

    Attributes:
        precision: (num_queries, num_bits + 1) float64; NaN where nothing is retrieved.
        recall: (num_queries, num_bits + 1) float64; 0 where nothing is retrieved.
    """

    precision: np.ndarray
    recall: np.ndarray


def precision_at_k(counts: DistanceCounts, k: int) -> np.ndarray:
    """Tie-averaged precision of the first `k` items: expected relevant items in them / k.

    A group of n tied items, r of them relevant, with m ranks within the cutoff, is expected to
    put m r / n relevant items there.

    Source: McSherry and Najork, ECIR 2008.

    Args:
        counts: what `count_by_distance` returns.
        k: cutoff, at least 1. A `k` beyond the database means the whole database, also in the
            denominator.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a relevant item.

    Raises:
        ValueError: `k` is not a positive integer.

    Example:
        The nearest item is relevant; of the next four, equally distant, two are.

        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, 1, 0], histogram[0, :, 3] = 1, 2
        >>> precision_at_k(DistanceCounts(histogram), 2).tolist()
        [0.75]
    """
    return _where_relevant(counts, _expected_hits(counts, k) / counts.cutoff(k))


def recall_at_k(counts: DistanceCounts, k: int) -> np.ndarray:
    """Tie-averaged recall of the first `k` items: expected relevant items in them / R.

    R is the number of relevant items in the whole database, so the value cannot exceed k / R.

    Source: McSherry and Najork, ECIR 2008.

    Args:
        counts: what `count_by_distance` returns.
        k: cutoff, at least 1. A `k` beyond the database means the whole database.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a relevant item.

    Raises:
        ValueError: `k` is not a positive integer.

    Example:
        The nearest item is relevant; of the next four, equally distant, two are.

        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, 1, 0], histogram[0, :, 3] = 1, 2
        >>> recall_at_k(DistanceCounts(histogram), 2).tolist()
        [0.5]
    """
    return _where_relevant(counts, _expected_hits(counts, k) / np.maximum(counts.num_relevant, 1))


def precision_recall_by_radius(counts: DistanceCounts) -> RadiusCurve:
    """Precision and recall of hash lookup: all items within Hamming distance 0, 1, ... num_bits.

        precision(q, r) = relevant items within r / items within r
        recall(q, r)    = relevant items within r / relevant items in the database

    Where no item lies within the radius, precision is 0 / 0 and stays undefined (NaN), while
    recall is 0. A mean precision must therefore name the share of queries it rests on; the report
    of this package gives it as "answered". (Some published curves put 0 or drop such queries from
    recall too; these numbers are not comparable with ours at small radii.)

    Args:
        counts: what `count_by_distance` returns.

    Returns:
        `RadiusCurve`; a query without a relevant item has NaN in both rows.

    Example:
        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, 1, 1], histogram[0, :, 2] = 1, (2, 1)
        >>> curve = precision_recall_by_radius(DistanceCounts(histogram))
        >>> curve.precision[0, :3].tolist(), curve.recall[0, :3].tolist()
        ([nan, 1.0, 0.5], [0.0, 0.5, 1.0])
    """
    retrieved = np.cumsum(counts.items, axis=1)
    hits = np.cumsum(counts.relevant, axis=1)
    precision = np.where(retrieved > 0, hits / np.maximum(retrieved, 1), np.nan)
    recall = hits / np.maximum(counts.num_relevant, 1)[:, None]
    return RadiusCurve(_where_relevant(counts, precision), _where_relevant(counts, recall))


def mean_of_defined(values: np.ndarray) -> float | None:
    """Mean of the values that are not NaN; None where all are.

    Args:
        values: (n,) numbers, NaN where undefined.

    Returns:
        A Python float, or None, which JSON writes as null.

    Example:
        >>> mean_of_defined(np.array([0.5, np.nan, 1.0])), mean_of_defined(np.array([np.nan]))
        (0.75, None)
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


def _expected_hits(counts: DistanceCounts, k: int) -> np.ndarray:
    share = counts.relevant / np.maximum(counts.items, 1)
    return (counts.places(k) * share).sum(axis=1)


def _where_relevant(counts: DistanceCounts, values: np.ndarray) -> np.ndarray:
    has_relevant = counts.num_relevant > 0
    return np.where(has_relevant if values.ndim == 1 else has_relevant[:, None], values, np.nan)
