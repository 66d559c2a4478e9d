"""Both directions of cross-modal retrieval, and both modalities within themselves."""

from collections.abc import Mapping, Sequence

import numpy as np

from udsph_tf.evaluation.report import evaluate_relevance, evaluate_retrieval

__all__ = ["evaluate_directions"]


def evaluate_directions(
    image_query: np.ndarray,
    text_query: np.ndarray,
    image_database: np.ndarray,
    text_database: np.ndarray,
    query_labels: np.ndarray,
    database_labels: np.ndarray,
    label_groups: Mapping[str, Sequence[int]] | None = None,
    within: bool = False,
    *,
    fused_database: np.ndarray | None = None,
    ks: Sequence[int] = (1, 5, 10, 50, 100),
    bootstrap_resamples: int = 1000,
    seed: int = 0,
    query_instance: np.ndarray | None = None,
    stable: bool = True,
) -> dict:
    """Evaluate image to text and text to image, and on request other targets.

    Row i of `image_query` and of `text_query` is one pair, with row i of `query_labels`; the same
    holds for the database.

    Args:
        image_query: (num_queries, num_bits / 8) uint8, packed image codes of the queries.
        text_query: (num_queries, num_bits / 8) uint8, packed text codes of the queries.
        image_database: (num_database, num_bits / 8) uint8, packed image codes of the database.
        text_database: (num_database, num_bits / 8) uint8, packed text codes of the database.
        query_labels: (num_queries, num_labels) of 0 and 1.
        database_labels: (num_database, num_labels) of 0 and 1.
        label_groups: columns of the labels by name of group. For each group, relevance is "shares
            a label of the group"; a group of the fine labels alone gives the stricter column of
            a table whose main column counts every label.
        within: also evaluate each modality against itself. Queries that are also in the database
            then find themselves at distance 0: keep the two disjoint.
        fused_database: (num_database, num_bits / 8) uint8, packed codes of whole items (see
            `udsph_tf.codes.fuse`); then also image to item and text to item.
        ks: cutoffs, each at least 1.
        bootstrap_resamples: resamples of the 95 % intervals, at least 1.
        seed: seed of the bootstrap.
        query_instance: (num_queries,) integers, the database row of each query's own pair, -1 for
            none; used across modalities only.
        stable: also compute MAP in stable order.

    Returns:
        A dict from "image_to_text", "text_to_image" (and "image_to_item", "text_to_item",
        "image_to_image", "text_to_text") to what `evaluate_retrieval` returns. With
        `label_groups`, each has "by_label_group", a dict from the group's name to what
        `evaluate_relevance` returns.

    Raises:
        ValueError: see `evaluate_retrieval`; or a label group has no column, one that does not
            exist, or one twice.

    Example:
        >>> zeros, ones = np.zeros((1, 1), dtype=np.uint8), np.full((1, 1), 255, dtype=np.uint8)
        >>> both = np.concatenate([ones, zeros])
        >>> results = evaluate_directions(
        ...     zeros, ones, both, both, [[1, 1]], [[1, 0], [1, 1]], {"fine": [1]}
        ... )
        >>> results["image_to_text"]["map"], results["text_to_image"]["map"]
        (1.0, 1.0)
        >>> [results[name]["by_label_group"]["fine"]["map"] for name in results]
        [1.0, 0.5]
    """
    query_labels, database_labels = np.asarray(query_labels), np.asarray(database_labels)
    groups = _checked_groups(label_groups, query_labels)
    directions = {
        "image_to_text": (image_query, text_database, query_instance),
        "text_to_image": (text_query, image_database, query_instance),
    }
    if fused_database is not None:
        directions["image_to_item"] = (image_query, fused_database, query_instance)
        directions["text_to_item"] = (text_query, fused_database, query_instance)
    if within:
        directions["image_to_image"] = (image_query, image_database, None)
        directions["text_to_text"] = (text_query, text_database, None)

    shared_options = {"bootstrap_resamples": bootstrap_resamples, "seed": seed, "stable": stable}
    results = {}
    for name, (query, database, instance) in directions.items():
        results[name] = evaluate_retrieval(
            query,
            query_labels,
            database,
            database_labels,
            ks=ks,
            query_instance=instance,
            **shared_options,
        )
        if groups:
            results[name]["by_label_group"] = {
                group: evaluate_relevance(
                    query,
                    query_labels[:, columns],
                    database,
                    database_labels[:, columns],
                    **shared_options,
                )
                for group, columns in groups.items()
            }
    return results


def _checked_groups(
    label_groups: Mapping[str, Sequence[int]] | None, labels: np.ndarray
) -> dict[str, np.ndarray]:
    groups = {}
    for name, columns in (label_groups or {}).items():
        columns = np.asarray(columns)
        num_labels = labels.shape[-1] if labels.ndim else 0
        if (
            columns.ndim != 1
            or not columns.size
            or not np.issubdtype(columns.dtype, np.integer)
            or columns.min() < 0
            or columns.max() >= num_labels
            or len(np.unique(columns)) < columns.size
        ):
            raise ValueError(
                "`label_groups` must map each name to different columns of the labels, "
                f"0 to {num_labels - 1}. Received: {name!r}: {columns.tolist()}"
            )
        groups[name] = columns
    return groups
