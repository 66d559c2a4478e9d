import math

import numpy as np
import pytest

from udsph_tf.losses import Adversarial, adversarial, discrimination


def test_adversarial_hand_case_has_the_worked_out_value():
    # softplus(-0) = log 2; softplus(-2) = log(1 + e^-2) = 0.126928. Their mean: 0.410038.
    assert float(adversarial(np.array([[0.0], [2.0]], np.float32))) == pytest.approx(0.410038, 1e-5)


def test_adversarial_gradient_pulls_towards_the_label_net(value_and_gradient):
    # d/dz softplus(-z) = -sigmoid(-z); at 0, over two items: -1/4 each.
    _, gradient = value_and_gradient(adversarial, np.zeros((2, 1)))
    np.testing.assert_allclose(gradient, -0.25, rtol=1e-6)


def test_discrimination_of_an_undecided_discriminator_is_two_log_two():
    zero = np.zeros((3, 1), np.float32)
    assert float(discrimination(zero, zero)) == pytest.approx(2 * math.log(2), 1e-6)


def test_discrimination_hand_case_has_the_worked_out_value():
    # softplus(-1) + softplus(-3) = 0.313262 + 0.048587.
    one, minus_three = np.full((2, 1), 1, np.float32), np.full((2, 1), -3, np.float32)
    assert float(discrimination(one, minus_three)) == pytest.approx(0.361849, 1e-5)


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_adversarial_at_extreme_logits_is_finite(size, check_finite):
    logits = np.array([[size], [-size]])
    assert check_finite(adversarial, logits) == pytest.approx(size / 2)
    check_finite(lambda x: discrimination(x, -x), logits)


def test_adversarial_class_agrees_with_the_functions():
    real, fake = np.array([[0.3], [-1.0]], np.float32), np.array([[2.0], [-0.5]], np.float32)
    loss = Adversarial()
    ones, zeros = np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32)
    assert float(loss(ones, fake)) == pytest.approx(float(adversarial(fake)))
    both = float(loss(ones, real)) + float(loss(zeros, fake))
    assert both == pytest.approx(float(discrimination(real, fake)))


def test_adversarial_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(Adversarial(name="other")).name == "other"
