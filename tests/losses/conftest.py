"""What every loss is checked for: finite values and gradients, and a full configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def value_and_gradient():
    """Function from a scalar function and its argument to its value and its gradient there."""

    def evaluate(function, argument):
        argument = tf.constant(argument, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(argument)
            value = function(argument)
        return float(value), tape.gradient(value, argument).numpy()

    return evaluate


@pytest.fixture(scope="session")
def check_finite(value_and_gradient):
    """Function that asserts a finite value and a finite gradient."""

    def check(function, argument):
        value, gradient = value_and_gradient(function, argument)
        assert np.isfinite(value), value
        assert np.isfinite(gradient).all(), gradient
        return value

    return check


@pytest.fixture(scope="session")
def round_trip():
    """Function that serializes a loss, reads it back and compares every setting."""

    def check(loss):
        config = keras.losses.serialize(loss)
        again = keras.losses.deserialize(config)
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        return again

    return check
