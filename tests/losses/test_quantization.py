import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.losses import Quantization, quantization


def test_quantization_hand_case_has_the_worked_out_value():
    # (0.5^2 + 0.25^2 + 1^2 + 1.5^2) / 4 = (0.25 + 0.0625 + 1 + 2.25) / 4 = 0.890625.
    codes = np.array([[1, -1], [1, -1]], np.float32)
    hashes = np.array([[0.5, -0.75], [0, 0.5]], np.float32)
    assert float(quantization(codes, hashes)) == pytest.approx(0.890625, 1e-6)


def test_quantization_of_codes_is_zero():
    codes = np.array([[1, -1]], np.float32)
    assert float(quantization(codes, codes)) == 0


def test_quantization_lets_no_gradient_into_the_codes():
    codes, hashes = tf.constant([[1.0, -1.0]]), tf.constant([[0.5, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch([codes, hashes])
        value = quantization(codes, hashes)
    into_codes, into_hashes = tape.gradient(value, [codes, hashes])
    assert into_codes is None
    # 2 (h - B) / (n K) = 2 (0.5 - 1) / 2 and 2 (0.5 + 1) / 2.
    np.testing.assert_allclose(into_hashes, [[-0.5, 1.5]], rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e4])
def test_quantization_at_extremes_is_finite(value, check_finite):
    codes = np.ones((2, 4), np.float32)
    check_finite(lambda x: quantization(codes, x), np.full((2, 4), value))


def test_quantization_class_agrees_with_the_function():
    hashes = np.random.default_rng(0).uniform(-1, 1, (5, 8)).astype(np.float32)
    codes = np.where(hashes >= 0, 1, -1).astype(np.float32)
    expected = float(quantization(codes, hashes))
    assert float(Quantization()(codes, hashes)) == pytest.approx(expected)


def test_quantization_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(Quantization(name="other")).name == "other"
