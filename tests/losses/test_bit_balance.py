import numpy as np
import pytest

from udsph_tf.losses import BitBalance, bit_balance


def test_bit_balance_hand_case_has_the_worked_out_value():
    # Means of the three bits: (1 + 1) / 2 = 1, (1 - 1) / 2 = 0, (0.5 - 0.1) / 2 = 0.2.
    # (1 + 0 + 0.04) / 3 = 0.346667.
    hashes = np.array([[1, 1, 0.5], [1, -1, -0.1]], np.float32)
    assert float(bit_balance(hashes)) == pytest.approx(1.04 / 3, 1e-6)


def test_bit_balance_of_balanced_bits_is_zero():
    assert float(bit_balance(np.array([[0.9, -0.9], [-0.9, 0.9]], np.float32))) == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_bit_balance_of_equal_items_is_finite(value, check_finite):
    assert check_finite(bit_balance, np.full((4, 8), value)) == pytest.approx(value**2)


def test_bit_balance_class_agrees_with_the_function_whatever_y_true_is():
    hashes = np.random.default_rng(0).uniform(-1, 1, (5, 8)).astype(np.float32)
    expected = float(bit_balance(hashes))
    assert float(BitBalance()(np.zeros((5, 8)), hashes)) == pytest.approx(expected)
    assert float(BitBalance()(np.ones((5, 8)), hashes)) == pytest.approx(expected)


def test_bit_balance_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(BitBalance(name="other")).name == "other"
