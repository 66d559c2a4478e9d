import keras
import numpy as np
import pytest
from keras import ops

from udsph_tf.losses import InstanceAlignment, instance_alignment


def test_instance_alignment_hand_worked_value():
    # T = 0.5, cosines [[1, 0], [0, 1]]: logits [[2, 0], [0, 2]]. Every row and every column gives
    # log(e^2 + e^0) - 2 = log(1 + e^-2) = 0.126928.
    value = instance_alignment(ops.convert_to_tensor(np.eye(2, dtype="float32")), 0.5)
    assert float(value) == pytest.approx(np.log1p(np.exp(-2)), rel=1e-6)


def test_instance_alignment_of_equal_codes_is_the_log_of_the_batch():
    # Nothing tells the n items apart: -log(1 / n).
    value = instance_alignment(ops.ones((8, 8)), 0.1)
    assert float(value) == pytest.approx(np.log(8), rel=1e-6)


def test_instance_alignment_equals_the_class():
    cosine = np.random.default_rng(0).uniform(-1, 1, (5, 5)).astype("float32")
    loss = InstanceAlignment(temperature=0.2)
    assert float(loss(cosine, cosine)) == pytest.approx(float(instance_alignment(cosine, 0.2)))
    again = InstanceAlignment.from_config(loss.get_config())
    assert again.temperature == 0.2


def test_instance_alignment_at_extremes_is_finite_with_finite_gradient():
    import tensorflow as tf

    cosine = tf.constant([[-1.0, 1.0], [1.0, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = instance_alignment(cosine, 1e-3)
    assert np.isfinite(float(value))
    assert np.isfinite(keras.ops.convert_to_numpy(tape.gradient(value, cosine))).all()


def test_instance_alignment_temperature_zero_is_an_error():
    with pytest.raises(ValueError, match="`temperature` must be positive. Received: temperature=0"):
        InstanceAlignment(temperature=0)
