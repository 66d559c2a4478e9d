import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import DistanceCounts, count_by_distance
from udsph_tf.evaluation import counts as counts_module


def test_count_by_distance_hand_case_counts_levels(hand_case):
    # Distance 0: C shares none. Distance 1: A shares one, B none. Distance 3: D shares two.
    counts = count_by_distance(*hand_case)
    expected = np.zeros((1, 3, 9), dtype=int)
    expected[0, 0, 0] = expected[0, 1, 1] = expected[0, 0, 1] = expected[0, 2, 3] = 1
    np.testing.assert_array_equal(counts.histogram, expected)
    assert counts.items.tolist() == [[1, 2, 0, 1, 0, 0, 0, 0, 0]]
    assert counts.relevant.tolist() == [[0, 1, 0, 1, 0, 0, 0, 0, 0]]
    assert counts.before.tolist() == [[0, 1, 3, 3, 4, 4, 4, 4, 4]]
    assert counts.num_relevant.tolist() == [2]
    assert (counts.num_queries, counts.num_database, counts.num_bits) == (1, 4, 8)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_count_by_distance_random_cases_match_loops(draw_case, data):
    query, query_labels, database, database_labels = draw_case(data)
    counts = count_by_distance(query, query_labels, database, database_labels)
    expected = np.zeros_like(counts.histogram)
    for q in range(len(query)):
        for d in range(len(database)):
            shared = int((query_labels[q] & database_labels[d]).sum())
            expected[q, shared, int(query[q, 0] ^ database[d, 0]).bit_count()] += 1
    np.testing.assert_array_equal(counts.histogram, expected)


@pytest.mark.parametrize("step_pairs", [1, 7, 1 << 18])
def test_count_by_distance_any_step_size_gives_the_same(monkeypatch, random_case, step_pairs):
    monkeypatch.setattr(counts_module, "_STEP_PAIRS", step_pairs)
    counts = count_by_distance(*random_case)
    distances = hamming_distance(random_case[0], random_case[2])
    for distance in range(17):
        np.testing.assert_array_equal(
            counts.items[:, distance], (distances == distance).sum(axis=1)
        )


def test_count_by_distance_not_graded_keeps_relevance_only(random_case):
    graded = count_by_distance(*random_case)
    flat = count_by_distance(*random_case, graded=False)
    assert graded.histogram.shape[1] > 2
    assert flat.histogram.shape[1] == 2
    assert not flat.graded
    np.testing.assert_array_equal(flat.items, graded.items)
    np.testing.assert_array_equal(flat.relevant, graded.relevant)


def test_count_by_distance_no_label_anywhere_has_no_relevant_item():
    codes = np.zeros((2, 1), dtype=np.uint8)
    counts = count_by_distance(codes, np.zeros((2, 3)), codes, np.zeros((2, 3)))
    assert counts.num_relevant.tolist() == [0, 0]
    assert counts.items[:, 0].tolist() == [2, 2]


def test_places_each_cutoff_sums_to_k_or_database_size(random_case):
    counts = count_by_distance(*random_case)
    for k in (1, 17, 379, 380, 381, 10_000):
        assert set(counts.places(k).sum(axis=1)) == {min(k, 380)}
    np.testing.assert_array_equal(counts.places(), counts.items)


@pytest.mark.parametrize("k", [0, -3, 1.5, True, "5"])
def test_cutoff_not_a_positive_integer_raises(random_case, k):
    counts = count_by_distance(*random_case)
    with pytest.raises(ValueError, match=rf"`k` must be a positive integer\. Received: k={k!r}"):
        counts.cutoff(k)


@pytest.mark.parametrize("shape", [(2, 9), (2, 1, 9), (0, 2, 9)])
def test_distance_counts_unfit_histogram_raises(shape):
    with pytest.raises(ValueError, match="`histogram` must have shape"):
        DistanceCounts(np.zeros(shape, dtype=int))
