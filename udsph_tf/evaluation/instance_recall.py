"""Instance recall: does a query find its own counterpart, or one of them, in the other modality?

Labels play no part here. Queries are usually kept out of the database, so the codes to search are
those of the queries' own items in the other modality, alone or added to the database.
"""

from collections.abc import Sequence

import numpy as np

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation.counts import DistanceCounts, count_by_distance
from udsph_tf.evaluation.curves import mean_of_defined

__all__ = ["counterpart_distances", "instance_recall_at_k", "own_item_recall"]

_STEP = 256


def counterpart_distances(
    query_packed: np.ndarray, database_packed: np.ndarray, query_instance: np.ndarray
) -> np.ndarray:
    """Hamming distance of every query to its own counterpart.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        query_instance: (num_queries,) integers; the database row of each query's counterpart, or
            -1 where the database has none.

    Returns:
        (num_queries,) int16 in [0, num_bits]; -1 where there is no counterpart.

    Raises:
        ValueError: `query_instance` has another shape, is not integer, or points outside.

    Example:
        >>> query = np.array([[0b00000000], [0b11111111]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b11111111]], dtype=np.uint8)
        >>> counterpart_distances(query, database, np.array([0, -1])).tolist()
        [1, -1]
    """
    instance = np.asarray(query_instance)
    if instance.shape != (len(query_packed),) or not np.issubdtype(instance.dtype, np.integer):
        raise ValueError(
            f"`query_instance` must hold one integer for each of the {len(query_packed)} queries. "
            f"Received: dtype={instance.dtype}, shape={instance.shape}"
        )
    if instance.min(initial=0) < -1 or instance.max(initial=-1) >= len(database_packed):
        raise ValueError(
            f"`query_instance` must be rows of the database, 0 to {len(database_packed) - 1}, or "
            f"-1 for none. Received: values from {instance.min()} to {instance.max()}"
        )
    distances = np.full(len(instance), -1, dtype=np.int16)
    present = np.flatnonzero(instance >= 0)
    for start in range(0, len(present), _STEP):
        rows = present[start : start + _STEP]
        # The diagonal of small squares wastes little and leaves the bit convention to `codes`.
        square = hamming_distance(query_packed[rows], database_packed[instance[rows]])
        distances[rows] = square.diagonal()
    return distances


def instance_recall_at_k(counts: DistanceCounts, distances: np.ndarray, k: int) -> np.ndarray:
    """Tie-averaged instance recall: the chance that the counterpart is in the first `k` items.

        recall@k = min(1, max(0, k - closer) / tied)

    with `closer` items strictly nearer than the counterpart and `tied` items at its distance,
    itself included. This is the exact mean of "found or not" over all orders of the tied items.

    Source: the tie average follows McSherry and Najork, ECIR 2008.

    Args:
        counts: what `count_by_distance` returns for the same queries and database.
        distances: (num_queries,) what `counterpart_distances` returns for them.
        k: cutoff, at least 1. A `k` beyond the database means the whole database.

    Returns:
        (num_queries,) float64 in [0, 1]; NaN for a query without a counterpart. Queries whose
        counterpart is their only relevant item, or none, are not treated apart.

    Raises:
        ValueError: `k` is not a positive integer, or `distances` does not fit `counts`.

    Example:
        The counterpart is one of four nearest items; two of them are seen.

        >>> histogram = np.zeros((1, 2, 9), dtype=int)
        >>> histogram[0, :, 1] = 2
        >>> instance_recall_at_k(DistanceCounts(histogram), np.array([1]), 2).tolist()
        [0.5]
    """
    distances = np.asarray(distances)
    if distances.shape != (counts.num_queries,):
        raise ValueError(
            f"`distances` must hold one distance for each of the {counts.num_queries} queries. "
            f"Received: shape={distances.shape}"
        )
    present = distances >= 0
    cell = (np.arange(counts.num_queries), np.where(present, distances, 0))
    tied = counts.items[cell]
    if (tied[present] == 0).any():
        raise ValueError(
            "`distances` must come from the queries and database of `counts`. "
            "Received: a distance at which there is no item"
        )
    seen = counts.places(k)[cell]
    return np.where(present, seen / np.maximum(tied, 1), np.nan)


def own_item_recall(
    query_packed: np.ndarray,
    own_packed: np.ndarray,
    database_packed: np.ndarray,
    ks: Sequence[int] = (1, 10),
    *,
    query_items: np.ndarray | None = None,
    own_items: np.ndarray | None = None,
) -> dict:
    """How often queries find an own item, searching the database and all queries' own items.

    A query counts at k where at least one of its own items is among the first k; over random order
    within a distance, that is 1 - C(n - t, s) / C(n, s), with t own items among the n at the
    distance of its nearest own one, and s places left for these n. With one own item it is s / n.

    Args:
        query_packed: (n, num_bits / 8) uint8, codes of one modality.
        own_packed: (p, num_bits / 8) uint8, codes of the same items in the other modality; p = n
            and row i is query i's own, unless the next arguments say otherwise.
        database_packed: (m, num_bits / 8) uint8, codes of the database in the other modality.
        ks: cutoffs, each at least 1.
        query_items: (n,) integers, the item of each query.
        own_items: (p,) integers, the item of each row of `own_packed`; every query has at least
            one.

    Returns:
        A dict from str(k) to the mean over the queries.

    Example:
        >>> query = np.array([[0], [255]], dtype=np.uint8)
        >>> own_item_recall(query, query ^ 1, np.array([[0]], dtype=np.uint8), ks=[1, 2])
        {'1': 0.5, '2': 1.0}
    """
    query_items = np.arange(len(query_packed)) if query_items is None else query_items
    own_items = np.arange(len(own_packed)) if own_items is None else own_items
    searched = np.concatenate([own_packed, database_packed])
    no_labels = np.zeros((len(query_packed), 1)), np.zeros((len(searched), 1))
    counts = count_by_distance(query_packed, no_labels[0], searched, no_labels[1], graded=False)
    nearest, tied = _nearest_own(query_packed, own_packed, query_items, own_items)
    cell = (np.arange(len(query_packed)), nearest)
    at_distance = counts.items[cell]
    recalls = {}
    for k in ks:
        places, missed = counts.places(k)[cell], np.ones(len(query_packed))
        for own in range(tied.max(initial=0)):
            others = np.maximum(at_distance - own, 1)
            missed *= np.where(own < tied, np.maximum(others - places, 0) / others, 1.0)
        recalls[str(k)] = mean_of_defined(1.0 - missed)
    return recalls


def _nearest_own(
    query_packed: np.ndarray, own_packed: np.ndarray, query_items, own_items
) -> tuple[np.ndarray, np.ndarray]:
    """Each query's distance to its nearest own item, and how many own items are as near."""
    order = np.argsort(own_items, kind="stable")
    first = np.searchsorted(own_items[order], query_items, side="left")
    last = np.searchsorted(own_items[order], query_items, side="right")
    if (first == last).any():
        raise ValueError("`own_items` must hold an item of each query, and holds none of some")
    nearest = np.full(len(query_items), 8 * query_packed.shape[1] + 1)
    tied = np.zeros(len(query_items), int)
    # The j-th own item of every query at once; an item has a few.
    for each in range((last - first).max(initial=0)):
        rows = np.where(first + each < last, order[np.minimum(first + each, len(order) - 1)], -1)
        distance = counterpart_distances(query_packed, own_packed, rows)
        nearer = (distance >= 0) & (distance < nearest)
        tied = np.where(nearer, 1, tied + (distance == nearest))
        nearest = np.where(nearer, distance, nearest)
    return nearest, tied
