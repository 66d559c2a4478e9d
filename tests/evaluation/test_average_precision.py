import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import average_precision, count_by_distance, stable_average_precision
from udsph_tf.evaluation.average_precision import harmonic_numbers


def ranked_average_precision(relevant, k=None):
    """The definition, for one ranking without ties: `relevant` in ranked order."""
    total = sum(relevant)
    if total == 0:
        return np.nan
    k = len(relevant) if k is None else min(k, len(relevant))
    hits, score = 0, 0.0
    for rank, is_relevant in enumerate(relevant[:k], start=1):
        if is_relevant:
            hits += 1
            score += hits / rank
    return score / min(k, total)


def test_average_precision_hand_case_averages_both_orders(hand_case):
    # C A B D: relevant at ranks 2 and 4, (1/2 + 2/4) / 2 = 1/2.
    # C B A D: relevant at ranks 3 and 4, (1/3 + 2/4) / 2 = 5/12.   Mean 11/24.
    counts = count_by_distance(*hand_case)
    np.testing.assert_allclose(average_precision(counts), [11 / 24], rtol=1e-14)


@pytest.mark.parametrize(
    "k, expected",
    [
        (1, 0.0),  # C alone
        (2, 1 / 8),  # A second in one of two orders: 1/2 * (1/2) / min(2, 2)
        (3, 5 / 24),  # (1/2) / 2 and (1/3) / 2
        (4, 11 / 24),
        (9, 11 / 24),  # past the end of the database: the whole of it
    ],
)
def test_average_precision_at_k_hand_case_divides_by_min_of_k_and_relevant(hand_case, k, expected):
    counts = count_by_distance(*hand_case)
    np.testing.assert_allclose(average_precision(counts, k), [expected], rtol=1e-14)


def test_average_precision_cutoff_below_relevant_items_cuts_ranking_not_relevant_items():
    # Three relevant items, at ranks 1, 3 and 4; k = 2 sees the first only: 1 / min(2, 3).
    query = np.array([[0]], dtype=np.uint8)
    database = np.array([[0b1], [0b11], [0b111], [0b1111]], dtype=np.uint8)
    counts = count_by_distance(query, [[1]], database, [[1], [0], [1], [1]])
    assert average_precision(counts, 2).tolist() == [0.5]


@pytest.mark.parametrize("k", [None, 1, 2, 3, 5, 8])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_average_precision_random_ties_equal_mean_over_all_orders(
    draw_case, mean_over_tie_orders, k, data
):
    query, query_labels, database, database_labels = draw_case(data)
    counts = count_by_distance(query, query_labels, database, database_labels)
    relevant = query_labels @ database_labels.T > 0
    expected = [
        mean_over_tie_orders(
            distances, lambda order, row=row: ranked_average_precision(row[order].tolist(), k)
        )
        for distances, row in zip(hamming_distance(query, database), relevant, strict=True)
    ]
    np.testing.assert_allclose(average_precision(counts, k), expected, rtol=1e-12, atol=1e-14)


def test_average_precision_all_items_tied_equals_mean_over_shuffles():
    # Nothing but one tie group of 40, 7 relevant: compare with 4,000 shuffles.
    query, database = np.zeros((1, 1), dtype=np.uint8), np.zeros((40, 1), dtype=np.uint8)
    labels = (np.arange(40) < 7)[:, None]
    generator = np.random.default_rng(3)
    shuffled = [
        ranked_average_precision(generator.permutation(labels[:, 0]).tolist()) for _ in range(4000)
    ]
    value = average_precision(count_by_distance(query, [[1]], database, labels))[0]
    assert abs(value - np.mean(shuffled)) < 4 * np.std(shuffled) / np.sqrt(4000)


def test_average_precision_large_group_of_relevant_items_stays_one():
    # Two cancelling terms of the closed form grow with the rank; the rest must stay small.
    query = np.zeros((1, 1), dtype=np.uint8)
    database = np.repeat(np.array([0, 1, 3], dtype=np.uint8), 100_000)[:, None]
    counts = count_by_distance(query, [[1]], database, np.ones((300_000, 1)))
    np.testing.assert_allclose(average_precision(counts), [1.0], rtol=1e-10)
    np.testing.assert_allclose(average_precision(counts, 150_000), [1.0], rtol=1e-10)


def test_average_precision_database_order_does_not_matter(random_case):
    query, query_labels, database, database_labels = random_case
    order = np.random.default_rng(0).permutation(len(database))
    np.testing.assert_array_equal(
        average_precision(count_by_distance(*random_case)),
        average_precision(
            count_by_distance(query, query_labels, database[order], database_labels[order])
        ),
    )


@pytest.mark.parametrize("k", [None, 2])
def test_average_precision_query_without_relevant_item_is_nan(hand_case, k):
    query, _, database, database_labels = hand_case
    counts = count_by_distance(
        np.repeat(query, 2, axis=0), [[0, 0, 0], [1, 1, 0]], database, database_labels
    )
    assert np.isnan(average_precision(counts, k)).tolist() == [True, False]


def test_average_precision_zero_cutoff_raises(hand_case):
    with pytest.raises(ValueError, match=r"`k` must be a positive integer\. Received: k=0"):
        average_precision(count_by_distance(*hand_case), 0)


def test_stable_average_precision_hand_case_takes_database_order(hand_case):
    # A stands before B in the database: C A B D, (1/2 + 2/4) / 2.
    assert stable_average_precision(*hand_case).tolist() == [0.5]


def test_stable_average_precision_swapped_database_moves_with_it(hand_case):
    # With B before A: C B A D, (1/3 + 2/4) / 2.
    query, query_labels, database, database_labels = hand_case
    order = [1, 0, 2, 3]
    value = stable_average_precision(query, query_labels, database[order], database_labels[order])
    np.testing.assert_allclose(value, [5 / 12])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stable_average_precision_random_cases_match_sorted_pairs(draw_case, data):
    query, query_labels, database, database_labels = draw_case(data, max_database=20)
    relevant = query_labels @ database_labels.T > 0
    expected = []
    for distances, row in zip(hamming_distance(query, database), relevant, strict=True):
        order = sorted(range(len(row)), key=lambda item, d=distances: (d[item], item))
        expected.append(ranked_average_precision(row[order].tolist()))
    np.testing.assert_allclose(
        stable_average_precision(query, query_labels, database, database_labels), expected
    )


def test_stable_average_precision_distance_over_255_sorts_right():
    # 512 bits: distances 512 and 1 would trade places if they were cut to a byte (0 and 1).
    query = np.zeros((1, 64), dtype=np.uint8)
    database = np.zeros((2, 64), dtype=np.uint8)
    database[0], database[1, 0] = 255, 1
    assert stable_average_precision(query, [[1]], database, [[0], [1]]).tolist() == [1.0]


def test_harmonic_numbers_small_table_is_exact():
    np.testing.assert_allclose(harmonic_numbers(4), [0, 1, 3 / 2, 11 / 6, 25 / 12])
    assert harmonic_numbers(0).tolist() == [0.0]


def test_harmonic_numbers_negative_raises():
    with pytest.raises(ValueError, match=r"`n` must not be negative\. Received: n=-1"):
        harmonic_numbers(-1)
