import numpy as np
import pytest

from udsph_tf.evaluation import bootstrap as bootstrap_module
from udsph_tf.evaluation import bootstrap_mean_interval


def test_bootstrap_mean_interval_same_seed_same_interval_other_seed_other():
    values = np.random.default_rng(0).random(80)
    first = bootstrap_mean_interval(values, seed=5)
    assert first == bootstrap_mean_interval(values, seed=5)
    assert first != bootstrap_mean_interval(values, seed=6)


def test_bootstrap_mean_interval_normal_values_match_standard_error():
    # Mean of 2,000 values of standard deviation 1: 95 % lies within 1.96 / sqrt(2000) = 0.0438.
    values = np.random.default_rng(0).normal(size=2000)
    low, high = bootstrap_mean_interval(values, resamples=4000)
    np.testing.assert_allclose(high - low, 2 * 0.0438, rtol=0.05)
    np.testing.assert_allclose((low + high) / 2, values.mean(), atol=0.003)


def test_bootstrap_mean_interval_two_values_has_their_extremes():
    # Means of resamples are 0, 1/2 or 1 with chances 1/4, 1/2, 1/4: the 2.5 % tails are 0 and 1.
    assert bootstrap_mean_interval(np.array([0.0, 1.0])) == (0.0, 1.0)


def test_bootstrap_mean_interval_nan_is_left_out():
    values = np.array([0.2, np.nan, 0.9, 0.4, np.nan])
    assert bootstrap_mean_interval(values) == bootstrap_mean_interval(np.array([0.2, 0.9, 0.4]))


def test_bootstrap_mean_interval_one_value_has_no_width():
    assert bootstrap_mean_interval(np.array([0.3])) == (0.3, 0.3)


def test_bootstrap_mean_interval_small_blocks_give_the_same(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_mean_interval(values, resamples=100)
    monkeypatch.setattr(bootstrap_module, "_BLOCK_DRAWS", 1)
    assert bootstrap_mean_interval(values, resamples=100) == whole


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"values": [np.nan]}, r"`values` must have at least one defined value\. Received: none"),
        ({"values": [[1.0]]}, r"`values` must have shape \(n,\)\. Received: shape=\(1, 1\)"),
        ({"resamples": 0}, r"`resamples` must be a positive integer\. Received: resamples=0"),
        ({"confidence": 1.0}, r"`confidence` must be between 0 and 1\. Received: confidence=1\.0"),
    ],
)
def test_bootstrap_mean_interval_unfit_argument_raises(arguments, message):
    arguments = {"values": [0.5]} | arguments
    with pytest.raises(ValueError, match=message):
        bootstrap_mean_interval(np.array(arguments.pop("values")), **arguments)
