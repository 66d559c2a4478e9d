import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import (
    count_by_distance,
    counterpart_distances,
    instance_recall_at_k,
    own_item_recall,
)


def test_instance_recall_at_k_hand_case_shares_the_tie(hand_case):
    # C | A B | D: the counterpart A is second or third.
    query, _, database, _ = hand_case
    counts = count_by_distance(*hand_case)
    distances = counterpart_distances(query, database, np.array([0]))
    assert distances.tolist() == [1]
    values = [instance_recall_at_k(counts, distances, k)[0] for k in (1, 2, 3, 4, 99)]
    assert values == [0.0, 0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("k", [1, 2, 5])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_instance_recall_at_k_random_ties_equal_mean_over_all_orders(
    draw_case, mean_over_tie_orders, k, data
):
    case = draw_case(data)
    query, database = case[0], case[2]
    instance = np.array([data.draw(st.integers(-1, len(database) - 1)) for _ in query])
    values = instance_recall_at_k(
        count_by_distance(*case), counterpart_distances(query, database, instance), k
    )
    for q, distances in enumerate(hamming_distance(query, database)):
        if instance[q] < 0:
            assert np.isnan(values[q])
            continue
        expected = mean_over_tie_orders(
            distances, lambda order, own=instance[q]: float(own in order[:k])
        )
        np.testing.assert_allclose(values[q], expected)


def test_counterpart_distances_many_queries_match_full_matrix(random_case):
    database = random_case[2]
    query = np.repeat(random_case[0], 20, axis=0)
    instance = np.random.default_rng(1).integers(0, len(database), len(query))
    instance[::7] = -1
    expected = hamming_distance(query, database)[np.arange(len(query)), instance]
    expected[::7] = -1
    np.testing.assert_array_equal(counterpart_distances(query, database, instance), expected)


@pytest.mark.parametrize(
    "instance, message",
    [
        ([0, 1], r"one integer for each of the 1 queries\. Received: .* shape=\(2,\)"),
        ([0.0], r"one integer for each of the 1 queries\. Received: dtype=float64"),
        ([4], r"rows of the database, 0 to 3, or -1 for none\. Received: values from 4 to 4"),
        ([-2], r"rows of the database, 0 to 3, or -1 for none\. Received: values from -2 to -2"),
    ],
)
def test_counterpart_distances_unfit_instance_raises(hand_case, instance, message):
    with pytest.raises(ValueError, match=message):
        counterpart_distances(hand_case[0], hand_case[2], np.array(instance))


def test_instance_recall_at_k_foreign_distances_raise(hand_case):
    counts = count_by_distance(*hand_case)
    with pytest.raises(ValueError, match=r"Received: a distance at which there is no item"):
        instance_recall_at_k(counts, np.array([2]), 1)
    with pytest.raises(ValueError, match=r"each of the 1 queries\. Received: shape=\(2,\)"):
        instance_recall_at_k(counts, np.array([1, 1]), 1)
    with pytest.raises(ValueError, match=r"`k` must be a positive integer\. Received: k=0"):
        instance_recall_at_k(counts, np.array([1]), 0)


def test_own_item_recall_searches_the_other_queries_items_too():
    # Query 0 is at 0 from its own item and from the database's; query 1 is at 1 from its own item
    # and at 0 from nothing.
    query = np.array([[0], [255]], np.uint8)
    own = np.array([[0], [254]], np.uint8)
    found = own_item_recall(query, own, np.zeros((1, 1), np.uint8), ks=[1, 2])
    assert found == {"1": 0.75, "2": 1.0}
