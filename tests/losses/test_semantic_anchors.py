"""The global view: the sum over unique label sets is the sum over all items."""

import numpy as np
import pytest

from udsph_tf.losses import (
    graded_similarity,
    level_regression,
    level_weights,
    pairwise_likelihood,
    shares_label,
)
from udsph_tf.training.build import semantic_anchors


@pytest.fixture(scope="module")
def collection():
    """Labels of 200 items, of which about a dozen sets differ, and a hash for every set."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.array([[(n >> bit) & 1 for bit in range(4)] for n in range(1, 13)]))
    labels = labels[rng.choice(12, 200, p=np.arange(1, 13) / 78)]
    anchors, counts = semantic_anchors(labels, 1000, 0)
    assert 8 <= len(anchors) <= 12
    hash_of_set = np.tanh(rng.normal(size=(len(anchors), 16))).astype(np.float32)
    item_of = [np.flatnonzero((anchors == row).all(axis=1))[0] for row in labels]
    batch = np.tanh(rng.normal(size=(9, 16))).astype(np.float32)
    return labels, anchors, counts, hash_of_set, hash_of_set[item_of], labels[:9], batch


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize(
    ("similarity", "loss", "scale"),
    [(shares_label, pairwise_likelihood, 1 / 2), (graded_similarity, level_regression, 1 / 16)],
    ids=["likelihood", "levels"],
)
def test_anchors_weighted_sum_equals_the_sum_over_all_items(
    collection, similarity, loss, scale, balance
):
    labels, anchors, counts, anchor_hash, item_hash, batch_labels, batch = collection
    few = similarity(batch_labels, anchors)
    few = loss(few, batch @ anchor_hash.T * scale, level_weights(few, counts, balance=balance))
    full = similarity(batch_labels, labels)
    full = loss(full, batch @ item_hash.T * scale, level_weights(full, balance=balance))
    assert float(few) == pytest.approx(float(full), rel=2e-6)
