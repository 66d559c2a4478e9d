import math

import numpy as np
import pytest

from udsph_tf.losses import PairwiseLikelihood, level_weights, pairwise_likelihood

SIMILARITY = np.array([[1, 0], [0, 0]], np.float32)
THETA = np.array([[2, 1], [0, -1]], np.float32)


def test_pairwise_likelihood_hand_case_has_the_worked_out_value():
    # softplus(2) - 2 = 0.126928, softplus(1) = 1.313262, softplus(0) = 0.693147,
    # softplus(-1) = 0.313262; their mean: 0.611650.
    weights = np.full((2, 2), 0.25, np.float32)
    value = float(pairwise_likelihood(SIMILARITY, THETA, weights))
    assert value == pytest.approx(0.611650, 1e-5)


def test_pairwise_likelihood_class_balanced_averages_both_kinds_of_pair():
    # (0.126928 + (1.313262 + 0.693147 + 0.313262) / 3) / 2 = (0.126928 + 0.773224) / 2.
    assert float(PairwiseLikelihood()(SIMILARITY, THETA)) == pytest.approx(0.450076, 1e-5)


def test_pairwise_likelihood_is_not_squared():
    # Far on the wrong side the likelihood grows like theta, its square like theta squared.
    weights = np.ones((1, 1), np.float32)
    value = float(pairwise_likelihood(np.zeros((1, 1)), np.full((1, 1), 50, np.float32), weights))
    assert value == pytest.approx(50)


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_pairwise_likelihood_at_extreme_theta_is_finite(size, check_finite):
    # log(1 + exp(x)) is inf at 100 in single precision, and its gradient NaN.
    weights = np.full((2, 2), 0.25, np.float32)
    theta = np.array([[size, -size], [size, -size]])
    value = check_finite(lambda x: pairwise_likelihood(SIMILARITY, x, weights), theta)
    # Only the dissimilar pair with theta = +size is wrong.
    assert value == pytest.approx(size / 4)
    wrong = check_finite(lambda x: pairwise_likelihood(SIMILARITY, x, weights), -theta)
    assert wrong == pytest.approx(3 * size / 4)


def test_pairwise_likelihood_gradient_is_sigmoid_minus_similarity(value_and_gradient):
    weights = np.full((2, 2), 0.25, np.float32)
    _, gradient = value_and_gradient(lambda x: pairwise_likelihood(SIMILARITY, x, weights), THETA)
    expected = 0.25 * (1 / (1 + np.exp(-THETA)) - SIMILARITY)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("balance", [True, False])
def test_pairwise_likelihood_class_agrees_with_the_function(balance):
    weights = level_weights(SIMILARITY, balance=balance)
    expected = float(pairwise_likelihood(SIMILARITY, THETA, weights))
    assert float(PairwiseLikelihood(balance=balance)(SIMILARITY, THETA)) == pytest.approx(expected)


@pytest.mark.parametrize("balance", [True, False])
def test_pairwise_likelihood_class_round_trip_keeps_its_configuration(balance, round_trip):
    assert round_trip(PairwiseLikelihood(balance=balance, name="other")).balance is balance


def test_pairwise_likelihood_of_undecided_codes_is_log_two():
    zero = np.zeros((2, 2), np.float32)
    assert float(PairwiseLikelihood()(SIMILARITY, zero)) == pytest.approx(math.log(2), 1e-6)
