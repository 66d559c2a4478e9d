"""One way to score every row of a table: codes by Hamming distance, vectors by inner product.

A ranking of either sort becomes `udsph_tf.evaluation.DistanceCounts`, groups of tied items from the
nearest on, so that both go through the same tie-averaged measures.
"""

from dataclasses import dataclass

import numpy as np

from udsph_tf.evaluation import (
    DistanceCounts,
    average_precision,
    count_by_distance,
    counterpart_distances,
    instance_recall_at_k,
    mean_of_defined,
    ndcg_at_k,
)

__all__ = ["DIRECTIONS", "Task", "score_codes", "score_vectors"]

DIRECTIONS = {"image_to_text": ("image", "text"), "text_to_image": ("text", "image")}
_CUTOFF, _GAIN = 100, "exponential"
_ROWS = 16  # queries whose inner products are held at once: a few megabytes
_DECIMALS = 6  # of inner products: equal vectors tie, whatever block they are multiplied in


@dataclass(frozen=True)
class Task:
    """Who searches what, and what counts as found.

    Args:
        query, database: rows of the queries and of the items that are searched.
        labels: (n, num_labels) of 0 and 1, of all items.
        fine: columns of the labels that make two items the same kind.
    """

    query: np.ndarray
    database: np.ndarray
    labels: np.ndarray
    fine: list[int]

    @property
    def weight(self) -> int:
        """Of a fine label: more than all labels of an item together.

        Then the weighted number of shared labels says both how many are shared and whether a fine
        one is, and one walk over the pairs gives every measure.
        """
        return int(self.labels.sum(axis=1).max()) + 1

    def weighted(self, rows: np.ndarray) -> np.ndarray:
        """Labels of some items, with as many columns for every fine label as it weighs."""
        labels = self.labels[rows]
        return np.concatenate([labels, *[labels[:, self.fine]] * (self.weight - 1)], axis=1)


def score_codes(packed: dict[str, np.ndarray], task: Task) -> dict[str, dict[str, float]]:
    """Every measure of both directions, of codes.

    Args:
        packed: "image" and "text", (n, num_bits / 8) uint8 each, of all items.
        task: what is asked of them.

    Returns:
        By direction: "coarse" and "fine", tie-averaged MAP; "ndcg", NDCG@100 with gain
        2^shared - 1; "recall_1" and "recall_10": is a query's own counterpart found among those of
        all queries and the database?
    """
    asked, searched = task.weighted(task.query), task.weighted(task.database)
    results = {}
    for name, (asking, answering) in DIRECTIONS.items():
        query, own = packed[asking][task.query], packed[answering][task.query]
        database = packed[answering][task.database]
        counts = count_by_distance(query, asked, database, searched)
        fellows = count_by_distance(query, asked, own, asked, graded=False)
        both = np.stack([fellows.items, counts.items], axis=1)
        distances = counterpart_distances(query, own, np.arange(len(query)))
        measures = _by_label(counts, task.weight)
        for k in (1, 10):
            measures[f"recall_{k}"] = instance_recall_at_k(DistanceCounts(both), distances, k)
        results[name] = {key: mean_of_defined(each) for key, each in measures.items()}
    return results


def score_vectors(vectors: dict[str, np.ndarray], task: Task) -> dict[str, dict[str, float]]:
    """As `score_codes`, of real vectors ranked by inner product, a few queries at a time.

    Args:
        vectors: "image" and "text", (n, d) each, of lengths near one.
        task: what is asked of them.
    """
    asked, searched = (
        task.weighted(rows).astype(np.float32) for rows in (task.query, task.database)
    )
    results = {}
    for name, (asking, answering) in DIRECTIONS.items():
        query, own = vectors[asking][task.query], vectors[answering][task.query]
        database = vectors[answering][task.database]
        parts = []
        for start in range(0, len(query), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(query)))
            near, fellows = (np.round(query[rows] @ each.T, _DECIMALS) for each in (database, own))
            levels = (asked[rows] @ searched.T).astype(np.int64)
            ranked = [_by_rank(*each, task.weight) for each in zip(near, levels, strict=True)]
            measures = {key: np.concatenate([each[key] for each in ranked]) for key in ranked[0]}
            found = fellows[np.arange(len(rows)), rows][:, None]
            closer = (near > found).sum(axis=1) + (fellows > found).sum(axis=1)
            tied = (near == found).sum(axis=1) + (fellows == found).sum(axis=1)
            for k in (1, 10):
                measures[f"recall_{k}"] = np.clip((k - closer) / tied, 0, 1)
            parts.append(measures)
        results[name] = {
            key: mean_of_defined(np.concatenate([part[key] for part in parts])) for key in parts[0]
        }
    return results


def _by_rank(scores: np.ndarray, levels: np.ndarray, weight: int) -> dict[str, np.ndarray]:
    """`_by_label` of one ranking by falling score; equal scores are one group."""
    far = np.sort(-scores)
    return {
        "coarse": average_precision(_relevant_groups(far, -scores[levels > 0])),
        "fine": average_precision(_relevant_groups(far, -scores[levels >= weight])),
        "ndcg": ndcg_at_k(
            _first_groups(far, -scores, levels // weight + levels % weight), _CUTOFF, _GAIN
        ),
    }


def _relevant_groups(far: np.ndarray, relevant: np.ndarray) -> DistanceCounts:
    """Groups that hold a relevant item, and what lies between them in one group each.

    The order among irrelevant items changes no average precision; the fewer groups, the faster.
    """
    places, tied = np.unique(relevant, return_counts=True)
    first, end = (np.searchsorted(far, places, side) for side in ("left", "right"))
    histogram = np.zeros((1, 2, 2 * len(places) + 1), dtype=np.int64)
    histogram[0, 0, 0::2] = np.append(first, len(far)) - np.append(0, end)
    histogram[0, 0, 1::2] = end - first - tied
    histogram[0, 1, 1::2] = tied
    return DistanceCounts(histogram)


def _first_groups(far: np.ndarray, distances: np.ndarray, shared: np.ndarray) -> DistanceCounts:
    """Groups up to the one that holds the last rank of the cutoff, and all others in one group."""
    last = far[min(_CUTOFF, len(far)) - 1]
    near = distances <= last
    _, groups = np.unique(distances[near], return_inverse=True)
    histogram = np.zeros((max(2, shared.max() + 1), groups.max() + 2), dtype=np.int64)
    np.add.at(histogram, (shared[near], groups), 1)
    histogram[:, -1] += np.bincount(shared[~near], minlength=len(histogram))
    return DistanceCounts(histogram[None])


def _by_label(counts: DistanceCounts, weight: int) -> dict[str, np.ndarray]:
    """Measures of each query from counts by weighted number of shared labels."""
    weighted = np.arange(counts.histogram.shape[1])
    shared = weighted // weight + weighted % weight
    return {
        "coarse": average_precision(counts),
        "fine": average_precision(_regroup(counts, (weighted >= weight).astype(int))),
        "ndcg": ndcg_at_k(_regroup(counts, shared), _CUTOFF, _GAIN),
    }


def _regroup(counts: DistanceCounts, level_of: np.ndarray) -> DistanceCounts:
    num_queries, _, width = counts.histogram.shape
    histogram = np.zeros((num_queries, max(2, level_of.max() + 1), width), dtype=np.int64)
    for old, new in enumerate(level_of):
        histogram[:, new] += counts.histogram[:, old]
    return DistanceCounts(histogram)
