"""How alike two label sets are, and how much each pair of items counts."""

from keras import ops

__all__ = [
    "graded_similarity",
    "jaccard_similarity",
    "level_weights",
    "shares_label",
]

_LEVELS = 4


def shares_label(a, b):
    """S_ij = 1 where items i and j share a label, else 0.

    Args:
        a: (n, num_labels) multi-hot.
        b: (m, num_labels) multi-hot.

    Returns:
        (n, m) float32.
    """
    return ops.cast(_shared(a, b) > 0.5, "float32")


def graded_similarity(a, b):
    """Dice overlap of label sets: 2 |Y_i and Y_j| / (|Y_i| + |Y_j|), in [0, 1].

    It is 1 for equal sets, 0 for disjoint ones, and 0.5 where two items of two labels share one.

    Args:
        a: (n, num_labels) multi-hot.
        b: (m, num_labels) multi-hot.

    Returns:
        (n, m) float32; 0 where both sets are empty.
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    sizes = ops.sum(a, axis=1)[:, None] + ops.sum(b, axis=1)[None, :]
    return 2.0 * _shared(a, b) / ops.maximum(sizes, 1.0)


def jaccard_similarity(a, b):
    """Jaccard overlap of label sets: |Y_i and Y_j| / |Y_i or Y_j|, in [0, 1].

    Against `graded_similarity` it sets equal sets further apart from nearly equal ones: of items
    with four labels each, three shared ones make 0.6 here and 0.75 there.

    Args:
        a: (n, num_labels) multi-hot.
        b: (m, num_labels) multi-hot.

    Returns:
        (n, m) float32; 0 where both sets are empty.
    """
    dice = graded_similarity(a, b)
    return dice / (2.0 - dice)


def level_weights(similarity, counts=None, balance=True):
    """Weights w_ij of pairs, summing to 1.

    Without balance every pair weighs the same. With it, every *level* of similarity that occurs
    weighs the same: level 0 holds the pairs that share nothing, levels 1 to 4 the quarters
    (0, 1/4], ..., (3/4, 1]; where similarity is 0 or 1 these are the dissimilar and similar pairs.

    Args:
        similarity: (n, m) in [0, 1].
        counts: (m,), how often each column stands for an item; None counts each once.
        balance: see above.

    Returns:
        (n, m) float32.
    """
    each = ops.ones_like(similarity)
    if counts is not None:
        each = each * ops.cast(counts, "float32")[None, :]
    if not balance:
        return each / ops.maximum(ops.sum(each), 1e-12)
    # A hair below the quarter, so that 0.5 and 0.50000003 are one level.
    level = ops.ceil(similarity * _LEVELS - 1e-4)
    weights = ops.zeros_like(each)
    levels_met = 0.0
    for number in range(_LEVELS + 1):
        members = each * ops.cast(ops.equal(level, float(number)), "float32")
        total = ops.sum(members)
        weights = weights + members / ops.maximum(total, 1e-12)
        levels_met = levels_met + ops.cast(total > 0, "float32")
    return weights / ops.maximum(levels_met, 1.0)


def _shared(a, b):
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    return ops.matmul(a, ops.transpose(b))
