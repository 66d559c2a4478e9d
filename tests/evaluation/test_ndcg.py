import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import count_by_distance, ndcg_at_k


def discounted(gains, k):
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:k], start=1))


def test_ndcg_at_k_hand_case_averages_both_orders(hand_case):
    # Gains in ranked order: C A B D = 0 1 0 2 or C B A D = 0 0 1 2; the best order is 2 1 0 0.
    # A expects half of 1/log2(3) and half of 1/log2(4) = 1/2; D has 2/log2(5).
    first = 0.5 / math.log2(3) + 0.5 / 2 + 2 / math.log2(5)
    best = 2 + 1 / math.log2(3)
    counts = count_by_distance(*hand_case)
    np.testing.assert_allclose(ndcg_at_k(counts, 4), [first / best])
    np.testing.assert_allclose(ndcg_at_k(counts, 100), [first / best])
    np.testing.assert_allclose(ndcg_at_k(counts, 2), [0.5 / math.log2(3) / best])
    np.testing.assert_allclose(ndcg_at_k(counts, 1), [0.0])


def test_ndcg_at_k_exponential_gain_weighs_two_shared_labels_three_times():
    # One tie group of two: shared labels 2 and 1, gains 3 and 1; k = 1 expects 2 of 3.
    query, database = np.zeros((1, 1), dtype=np.uint8), np.zeros((2, 1), dtype=np.uint8)
    counts = count_by_distance(query, [[1, 1]], database, [[1, 1], [0, 1]])
    np.testing.assert_allclose(ndcg_at_k(counts, 1, gain="exponential"), [2 / 3])
    np.testing.assert_allclose(ndcg_at_k(counts, 1, gain="linear"), [3 / 4])


@pytest.mark.parametrize("gain", ["linear", "exponential"])
@pytest.mark.parametrize("k", [1, 3, 9])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_ndcg_at_k_random_ties_equal_mean_over_all_orders(
    draw_case, mean_over_tie_orders, gain, k, data
):
    query, query_labels, database, database_labels = draw_case(data)
    counts = count_by_distance(query, query_labels, database, database_labels)
    shared = query_labels @ database_labels.T
    gains = shared if gain == "linear" else 2**shared - 1
    values = ndcg_at_k(counts, k, gain)
    for q, distances in enumerate(hamming_distance(query, database)):
        best = discounted(sorted(gains[q].tolist(), reverse=True), k)
        if best == 0:
            assert np.isnan(values[q])
            continue
        expected = mean_over_tie_orders(
            distances, lambda order, q=q: discounted(gains[q, order].tolist(), k)
        )
        np.testing.assert_allclose(values[q], expected / best, rtol=1e-12)


def test_ndcg_at_k_best_ranking_is_one():
    query = np.array([[0]], dtype=np.uint8)
    database = np.array([[0b1], [0b11], [0b111]], dtype=np.uint8)
    counts = count_by_distance(query, [[1, 1]], database, [[1, 1], [0, 1], [0, 0]])
    for k in (1, 2, 3):
        np.testing.assert_allclose(ndcg_at_k(counts, k), [1.0])


def test_ndcg_at_k_counts_not_graded_raises(hand_case):
    counts = count_by_distance(*hand_case, graded=False)
    with pytest.raises(ValueError, match=r"`counts` must be graded.* Received: graded=False"):
        ndcg_at_k(counts, 1)


def test_ndcg_at_k_unfit_arguments_raise(hand_case):
    counts = count_by_distance(*hand_case)
    with pytest.raises(ValueError, match=r"`gain` must be one of .* Received: gain='cubic'"):
        ndcg_at_k(counts, 1, gain="cubic")
    with pytest.raises(ValueError, match=r"`k` must be a positive integer\. Received: k=-1"):
        ndcg_at_k(counts, -1)
