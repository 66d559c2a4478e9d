import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.losses import (
    graded_similarity,
    jaccard_similarity,
    level_weights,
    shares_label,
)


def test_shares_label_is_one_where_a_label_is_common():
    a = np.array([[1, 0, 0], [0, 1, 1]], np.uint8)
    b = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)
    assert np.array(shares_label(a, b)).tolist() == [[1, 0, 0], [1, 1, 0]]


def test_graded_similarity_hand_case_is_the_dice_overlap():
    a = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    b = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], np.uint8)
    # First row: equal sets 1; two labels of which one is shared 2 * 1 / 4; none 0;
    # 2 * 2 / (2 + 4) = 2 / 3. Second row: 2 / 3, 2 / 3, 0, 2 / 5. Empty sets: 0.
    expected = [[1, 1 / 2, 0, 2 / 3, 0], [2 / 3, 2 / 3, 0, 2 / 5, 0], [0] * 5]
    np.testing.assert_allclose(graded_similarity(a, b), expected, rtol=1e-6)


def test_jaccard_similarity_hand_case():
    a = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], np.uint8)
    b = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 1], [1, 0, 0, 0, 0], [0] * 5], np.uint8)
    # Four of four; three of five; one of four; none of four. An empty set: 0.
    np.testing.assert_allclose(jaccard_similarity(a, b), [[1, 0.6, 0.25, 0], [0] * 4], rtol=1e-6)


def test_graded_similarity_of_many_uint8_labels_does_not_overflow():
    labels = np.ones((2, 300), np.uint8)
    np.testing.assert_allclose(graded_similarity(labels, labels), 1.0)


def test_level_weights_every_level_that_occurs_weighs_the_same():
    # Levels: 0 (three pairs), (1/4, 1/2] (one), (3/4, 1] (two). A third for each.
    similarity = np.array([[0, 0, 0], [0.5, 1, 1]], np.float32)
    expected = [[1 / 9, 1 / 9, 1 / 9], [1 / 3, 1 / 6, 1 / 6]]
    np.testing.assert_allclose(level_weights(similarity), expected, rtol=1e-6)


def test_level_weights_quarters_belong_to_the_level_below():
    similarity = np.array([[0, 0.1, 0.25, 0.2500001, 0.3, 0.5, 0.75, 0.76, 1]], np.float32)
    # Levels 0 | 1 1 1 | 2 2 | 3 | 4 4: a fifth each.
    expected = [[1 / 5, 1 / 15, 1 / 15, 1 / 15, 1 / 10, 1 / 10, 1 / 5, 1 / 10, 1 / 10]]
    np.testing.assert_allclose(level_weights(similarity), expected, rtol=1e-6)


def test_level_weights_without_balance_are_equal():
    similarity = np.array([[0, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(level_weights(similarity, balance=False), 0.25, rtol=1e-6)


@given(data=st.data(), balance=st.booleans())
@settings(max_examples=25, deadline=None)
def test_level_weights_sum_to_one_and_weigh_levels_equally(data, balance):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    values = st.sampled_from([0.0, 0.2, 0.4, 0.5, 2 / 3, 0.8, 1.0])
    similarity = np.array(
        [[data.draw(values) for _ in range(shape[1])] for _ in range(shape[0])], np.float32
    )
    weights = np.array(level_weights(similarity, balance=balance))
    assert weights.sum() == pytest.approx(1, 1e-5)
    if balance:
        level = np.ceil(similarity * 4 - 1e-4)
        sums = [weights[level == each].sum() for each in np.unique(level)]
        np.testing.assert_allclose(sums, 1 / len(sums), rtol=1e-5)


@given(data=st.data(), balance=st.booleans())
@settings(max_examples=25, deadline=None)
def test_level_weights_with_counts_equal_repeated_columns(data, balance):
    columns = data.draw(st.integers(1, 4))
    counts = np.array([data.draw(st.integers(1, 5)) for _ in range(columns)])
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    similarity = np.array(
        [[data.draw(values) for _ in range(columns)] for _ in range(3)], np.float32
    )
    counted = np.array(level_weights(similarity, counts, balance=balance))
    repeated = np.array(level_weights(np.repeat(similarity, counts, axis=1), balance=balance))
    starts = np.cumsum(counts) - counts
    np.testing.assert_allclose(counted, np.add.reduceat(repeated, starts, axis=1), rtol=1e-5)
