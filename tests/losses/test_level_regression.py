import numpy as np
import pytest

from udsph_tf.losses import LevelRegression, level_regression, level_weights

# Levels: one pair of equal items, one that shares half, two that share nothing.
TARGET = np.array([[1, 0.5], [0, 0]], np.float32)
COSINE = np.array([[0.8, 0.1], [0.3, -0.4]], np.float32)


def test_level_regression_hand_case_has_the_worked_out_value():
    # Squared differences 0.04, 0.16, 0.09, 0.16 with weights 0.1, 0.2, 0.3, 0.4:
    # 0.004 + 0.032 + 0.027 + 0.064 = 0.127.
    weights = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    assert float(level_regression(TARGET, COSINE, weights)) == pytest.approx(0.127, 1e-5)


def test_level_regression_class_balanced_averages_levels():
    # Mean over the levels: (0.04 + 0.16 + (0.09 + 0.16) / 2) / 3 = 0.325 / 3.
    assert float(LevelRegression()(TARGET, COSINE)) == pytest.approx(0.325 / 3, 1e-5)


def test_level_regression_class_unbalanced_averages_pairs():
    # (0.04 + 0.16 + 0.09 + 0.16) / 4.
    assert float(LevelRegression(balance=False)(TARGET, COSINE)) == pytest.approx(0.1125, 1e-5)


@pytest.mark.parametrize("balance", [True, False])
def test_level_regression_class_agrees_with_the_function(balance):
    weights = level_weights(TARGET, balance=balance)
    expected = float(level_regression(TARGET, COSINE, weights))
    assert float(LevelRegression(balance=balance)(TARGET, COSINE)) == pytest.approx(expected)


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
def test_level_regression_at_extremes_is_finite(size, check_finite):
    weights = np.full((2, 2), 0.25, np.float32)
    cosine = np.array([[size, -size], [-size, size]])
    check_finite(lambda x: level_regression(TARGET, x, weights), cosine)


@pytest.mark.parametrize("balance", [True, False])
def test_level_regression_class_round_trip_keeps_its_configuration(balance, round_trip):
    again = round_trip(LevelRegression(balance=balance, name="other"))
    assert again.balance is balance
    assert float(again(TARGET, COSINE)) == float(LevelRegression(balance=balance)(TARGET, COSINE))
