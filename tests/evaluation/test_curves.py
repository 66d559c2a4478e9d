import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import (
    count_by_distance,
    mean_of_defined,
    precision_at_k,
    precision_recall_by_radius,
    recall_at_k,
)


@pytest.mark.parametrize(
    "k, precision, recall",
    [
        (1, 0.0, 0.0),  # C
        (2, 1 / 4, 1 / 4),  # C and A or B: half a relevant item is expected
        (3, 1 / 3, 1 / 2),  # C, A, B
        (4, 1 / 2, 1.0),
        (50, 1 / 2, 1.0),  # the database has four items, and four is the denominator
    ],
)
def test_precision_and_recall_at_k_hand_case(hand_case, k, precision, recall):
    counts = count_by_distance(*hand_case)
    np.testing.assert_allclose(precision_at_k(counts, k), [precision])
    np.testing.assert_allclose(recall_at_k(counts, k), [recall])


@pytest.mark.parametrize("k", [1, 2, 4, 9])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_precision_and_recall_at_k_random_ties_equal_mean_over_all_orders(
    draw_case, mean_over_tie_orders, k, data
):
    query, query_labels, database, database_labels = draw_case(data)
    counts = count_by_distance(query, query_labels, database, database_labels)
    relevant = query_labels @ database_labels.T > 0
    precision, recall = precision_at_k(counts, k), recall_at_k(counts, k)
    for q, distances in enumerate(hamming_distance(query, database)):
        if not relevant[q].any():
            assert np.isnan(precision[q])
            assert np.isnan(recall[q])
            continue
        hits = mean_over_tie_orders(distances, lambda order, q=q: relevant[q, order[:k]].sum())
        np.testing.assert_allclose(precision[q], hits / min(k, len(database)))
        np.testing.assert_allclose(recall[q], hits / relevant[q].sum())


@pytest.mark.parametrize("measure", [precision_at_k, recall_at_k])
def test_precision_and_recall_at_k_zero_raise(hand_case, measure):
    with pytest.raises(ValueError, match=r"`k` must be a positive integer\. Received: k=0"):
        measure(count_by_distance(*hand_case), 0)


def test_precision_recall_by_radius_hand_case(hand_case):
    # Radius 0: C. Radius 1 and 2: C, A, B with A relevant. From radius 3: all four.
    curve = precision_recall_by_radius(count_by_distance(*hand_case))
    np.testing.assert_allclose(curve.precision[0], [0, 1 / 3, 1 / 3] + 6 * [1 / 2])
    np.testing.assert_allclose(curve.recall[0], [0, 1 / 2, 1 / 2] + 6 * [1.0])


def test_precision_recall_by_radius_nothing_retrieved_has_recall_but_no_precision():
    query, database = np.array([[0]], dtype=np.uint8), np.array([[0b11]], dtype=np.uint8)
    curve = precision_recall_by_radius(count_by_distance(query, [[1]], database, [[1]]))
    assert np.isnan(curve.precision[0]).tolist() == [True, True] + 7 * [False]
    assert curve.recall[0].tolist() == [0.0, 0.0] + 7 * [1.0]


def test_precision_recall_by_radius_query_without_relevant_item_is_nan_at_every_radius():
    codes = np.array([[0]], dtype=np.uint8)
    curve = precision_recall_by_radius(count_by_distance(codes, [[0, 1]], codes, [[1, 0]]))
    assert np.isnan(curve.precision).all()
    assert np.isnan(curve.recall).all()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_precision_recall_by_radius_random_cases_match_sets(draw_case, data):
    query, query_labels, database, database_labels = draw_case(data, max_database=15)
    curve = precision_recall_by_radius(
        count_by_distance(query, query_labels, database, database_labels)
    )
    relevant = query_labels @ database_labels.T > 0
    for q, distances in enumerate(hamming_distance(query, database)):
        for radius in range(9):
            inside = distances <= radius
            hits = (relevant[q] & inside).sum()
            has_relevant = relevant[q].any()
            precision = hits / inside.sum() if inside.any() and has_relevant else np.nan
            recall = hits / relevant[q].sum() if has_relevant else np.nan
            np.testing.assert_allclose(curve.precision[q, radius], precision)
            np.testing.assert_allclose(curve.recall[q, radius], recall)


def test_mean_of_defined_only_nan_is_none():
    assert mean_of_defined(np.array([np.nan, np.nan])) is None
    assert mean_of_defined(np.array([np.nan, 0.25])) == 0.25
