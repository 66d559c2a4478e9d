"""One direction of retrieval, evaluated in one walk over the pairs."""

from collections.abc import Callable, Sequence

import numpy as np

from udsph_tf.evaluation.average_precision import (
    average_precision,
    stable_average_precision_of_block,
)
from udsph_tf.evaluation.bootstrap import bootstrap_mean_interval
from udsph_tf.evaluation.counts import (
    DistanceCounts,
    block_histogram,
    check_k,
    count_by_distance,
)
from udsph_tf.evaluation.curves import (
    mean_of_defined,
    precision_at_k,
    precision_recall_by_radius,
    recall_at_k,
)
from udsph_tf.evaluation.instance_recall import counterpart_distances, instance_recall_at_k
from udsph_tf.evaluation.ndcg import ndcg_at_k
from udsph_tf.evaluation.pairs import RetrievalPairs

__all__ = ["evaluate_relevance", "evaluate_retrieval", "mean_average_precision", "mean_ndcg"]


def mean_average_precision(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
) -> float:
    """Tie-averaged MAP over the whole ranking, and nothing else: for use in every epoch.

        MAP = mean over queries with a relevant item of AP(query)

    Source: McSherry and Najork, ECIR 2008; see `average_precision`.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.

    Returns:
        MAP in [0, 1]; equal to "map" of `evaluate_retrieval`.

    Raises:
        ValueError: see `RetrievalPairs`; or no query has a relevant item.

    Example:
        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000010]], dtype=np.uint8)
        >>> mean_average_precision(query, [[1]], database, [[0], [1]])
        0.75
    """
    counts = count_by_distance(
        query_packed, query_labels, database_packed, database_labels, graded=False
    )
    return _mean_over_queries(average_precision(counts), counts)


def mean_ndcg(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
    k: int = 100,
) -> float:
    """Tie-averaged NDCG@k with gain 2^shared labels - 1, and nothing else: for use in every epoch.

    Args:
        query_packed, query_labels, database_packed, database_labels: as in
            `mean_average_precision`.
        k: cutoff, at least 1.

    Returns:
        Mean over queries with a relevant item, in [0, 1]; equal to "ndcg_exponential_at_k" of
        `evaluate_retrieval`.

    Raises:
        ValueError: see `mean_average_precision` and `ndcg_at_k`.

    Example:
        The nearer item shares one label (gain 1), the farther one two (gain 3).

        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000011]], dtype=np.uint8)
        >>> round(mean_ndcg(query, [[1, 1]], database, [[1, 0], [1, 1]]), 4)
        0.7967
    """
    counts = count_by_distance(
        query_packed, query_labels, database_packed, database_labels, graded=True
    )
    return _mean_over_queries(ndcg_at_k(counts, k, gain="exponential"), counts)


def _mean_over_queries(values: np.ndarray, counts: DistanceCounts) -> float:
    value = mean_of_defined(values)
    if value is None:
        raise ValueError(
            "`query_labels` must share a label with `database_labels` for at least one query. "
            f"Received: {counts.num_queries} queries without a relevant item"
        )
    return value


def evaluate_retrieval(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
    *,
    ks: Sequence[int] = (1, 5, 10, 50, 100),
    bootstrap_resamples: int = 1000,
    seed: int = 0,
    query_instance: np.ndarray | None = None,
    stable: bool = True,
) -> dict:
    """All measures of one direction, as a dict that JSON can write.

    Distances and shared labels are computed once. Measures by label are means over the queries
    that have a relevant item; the others are counted under "num_skipped_queries".

    Sources: McSherry and Najork, ECIR 2008, for the tie averages; each function of this package
    names its own.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.
        ks: cutoffs, each at least 1; one beyond the database means the whole database.
        bootstrap_resamples: resamples of the 95 % interval of MAP, at least 1.
        seed: seed of the bootstrap.
        query_instance: (num_queries,) integers, the database row of each query's own counterpart,
            -1 for none; None leaves instance recall out.
        stable: also compute MAP in stable order, about half of the whole time.

    Returns:
        Python floats, integers, lists and dicts; None where a value is undefined:
        "map", "map_interval" [low, high], "map_stable" (None with `stable=False`);
        "map_at_k", "precision_at_k", "recall_at_k", "ndcg_at_k" (gain: shared labels) and
        "ndcg_exponential_at_k" (gain 2^shared - 1), each a dict from str(k);
        "precision_recall_by_radius", lists of length num_bits + 1 under "radius", "precision"
        (over the queries that retrieve anything), "recall" and "answered" (the share of queries
        that retrieve anything); "num_queries", "num_skipped_queries", "num_database",
        "num_bits"; with `query_instance` also "instance_recall_at_k" and "num_instance_queries".

    Raises:
        ValueError: see `RetrievalPairs` and `counterpart_distances`; or an argument is outside its
            range.

    Example:
        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000010]], dtype=np.uint8)
        >>> result = evaluate_retrieval(query, [[1]], database, [[0], [1]], ks=[1])
        >>> result["map"], result["map_stable"], result["precision_at_k"]
        (0.75, 0.5, {'1': 0.5})
    """
    ks = [check_k(k) for k in ks]
    pairs = RetrievalPairs(query_packed, query_labels, database_packed, database_labels)
    distances = None
    if query_instance is not None:
        distances = counterpart_distances(pairs.query_packed, pairs.database_packed, query_instance)
    counts, stable_values = _count(pairs, graded=True, stable=stable)

    def at_each_k(measure: Callable[[int], np.ndarray]) -> dict:
        return {str(k): mean_of_defined(measure(k)) for k in ks}

    result = _relevance_summary(counts, stable_values, bootstrap_resamples, seed)
    result |= {
        "map_at_k": at_each_k(lambda k: average_precision(counts, k)),
        "precision_at_k": at_each_k(lambda k: precision_at_k(counts, k)),
        "recall_at_k": at_each_k(lambda k: recall_at_k(counts, k)),
        "ndcg_at_k": at_each_k(lambda k: ndcg_at_k(counts, k)),
        "ndcg_exponential_at_k": at_each_k(lambda k: ndcg_at_k(counts, k, gain="exponential")),
        "precision_recall_by_radius": _radius_summary(counts),
        "num_database": counts.num_database,
        "num_bits": counts.num_bits,
    }
    if distances is not None:
        result["instance_recall_at_k"] = at_each_k(
            lambda k: instance_recall_at_k(counts, distances, k)
        )
        result["num_instance_queries"] = int((distances >= 0).sum())
    return result


def evaluate_relevance(
    query_packed: np.ndarray,
    query_labels: np.ndarray,
    database_packed: np.ndarray,
    database_labels: np.ndarray,
    *,
    bootstrap_resamples: int = 1000,
    seed: int = 0,
    stable: bool = True,
) -> dict:
    """The short form of `evaluate_retrieval`: MAP, its interval, and MAP in stable order.

    Source: McSherry and Najork, ECIR 2008; see `average_precision`.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.
        bootstrap_resamples: resamples of the 95 % interval, at least 1.
        seed: seed of the bootstrap.
        stable: also compute MAP in stable order.

    Returns:
        A dict with "map", "map_interval", "map_stable", "num_queries" and "num_skipped_queries",
        as in `evaluate_retrieval`.

    Raises:
        ValueError: see `RetrievalPairs`.

    Example:
        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000010]], dtype=np.uint8)
        >>> evaluate_relevance(query, [[1]], database, [[0], [1]])["map_interval"]
        [0.75, 0.75]
    """
    pairs = RetrievalPairs(query_packed, query_labels, database_packed, database_labels)
    counts, stable_values = _count(pairs, graded=False, stable=stable)
    return _relevance_summary(counts, stable_values, bootstrap_resamples, seed)


def _count(
    pairs: RetrievalPairs, graded: bool, stable: bool
) -> tuple[DistanceCounts, np.ndarray | None]:
    levels = max(1, pairs.max_shared if graded else 1)
    histograms, stable_values = [], []
    for _, distances, shared in pairs.blocks(graded):
        histograms.append(block_histogram(distances, shared, levels, pairs.num_bits))
        if stable:
            stable_values.append(stable_average_precision_of_block(distances, shared > 0))
    counts = DistanceCounts(np.concatenate(histograms), graded)
    return counts, np.concatenate(stable_values) if stable else None


def _relevance_summary(
    counts: DistanceCounts, stable_values: np.ndarray | None, resamples: int, seed: int
) -> dict:
    values = average_precision(counts)
    skipped = int(np.isnan(values).sum())
    interval = None
    if skipped < counts.num_queries:
        interval = list(bootstrap_mean_interval(values, resamples=resamples, seed=seed))
    return {
        "map": mean_of_defined(values),
        "map_interval": interval,
        "map_stable": None if stable_values is None else mean_of_defined(stable_values),
        "num_queries": counts.num_queries,
        "num_skipped_queries": skipped,
    }


def _radius_summary(counts: DistanceCounts) -> dict:
    curve = precision_recall_by_radius(counts)
    has_relevant = counts.num_relevant > 0
    answered = np.where(has_relevant[:, None], ~np.isnan(curve.precision), np.nan)
    return {
        "radius": list(range(counts.num_bits + 1)),
        "precision": [mean_of_defined(column) for column in curve.precision.T],
        "recall": [mean_of_defined(column) for column in curve.recall.T],
        "answered": [mean_of_defined(column) for column in answered.T],
    }
