import math

import numpy as np
import pytest

from udsph_tf.losses import InstanceAlignment, instance_alignment

COSINE = np.array([[0.5, 0.1], [0.3, 0.4]], np.float32)


def test_instance_alignment_hand_case_has_the_worked_out_value():
    # With T = 0.1 the logits are 5 1 / 3 4. Of two, -log softmax of the own one is softplus of
    # the other minus the own: rows softplus(-4) = 0.018150, softplus(-1) = 0.313262;
    # columns softplus(-2) = 0.126928, softplus(-3) = 0.048587. The mean: 0.126732.
    assert float(instance_alignment(COSINE)) == pytest.approx(0.126732, 1e-4)


def test_instance_alignment_of_equal_cosines_is_the_logarithm_of_their_number():
    assert float(instance_alignment(np.zeros((5, 5), np.float32))) == pytest.approx(math.log(5))


def test_instance_alignment_of_one_item_is_zero():
    assert float(instance_alignment(np.array([[0.3]], np.float32))) == 0


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
def test_instance_alignment_at_extremes_is_finite(size, check_finite):
    cosine = np.array([[size, -size], [-size, size]])
    assert check_finite(instance_alignment, cosine) == pytest.approx(0, abs=1e-6)
    assert check_finite(instance_alignment, -cosine) == pytest.approx(20 * size)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_instance_alignment_class_agrees_with_the_function(temperature):
    expected = float(instance_alignment(COSINE, temperature))
    loss = InstanceAlignment(temperature)
    assert float(loss(np.zeros((2, 2)), COSINE)) == pytest.approx(expected)


def test_instance_alignment_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(InstanceAlignment(temperature=0.7, name="other")).temperature == 0.7


@pytest.mark.parametrize("temperature", [0, -0.1])
def test_instance_alignment_class_temperature_that_is_not_positive_is_an_error(temperature):
    with pytest.raises(ValueError, match=f"`temperature` must be positive.*={temperature}"):
        InstanceAlignment(temperature)
