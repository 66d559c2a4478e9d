import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from udsph_tf.codes import binarize, pack
from udsph_tf.networks.layers import (
    Hellinger,
    MaskedMean,
    NotEqual,
    PackBits,
    Standardize,
    WordDropout,
)

# --- PackBits ---


@given(
    logits=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.sampled_from([8, 16, 64])),
        elements=st.one_of(
            st.sampled_from([0.0, -0.0, 1e-30, -1e-30, np.inf, -np.inf]),
            # TensorFlow takes subnormal numbers for zero, which no hasher writes.
            st.floats(-3, 3, width=32, allow_subnormal=False),
        ),
    )
)
@settings(max_examples=50, deadline=None)
def test_pack_bits_equals_the_packed_codes(logits):
    packed = np.array(PackBits()(logits))
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(packed, pack(binarize(logits)))


def test_pack_bits_hand_case_puts_the_first_bit_first():
    # 1 0 0 0 0 0 0 1 and 0 1 1 1 1 1 1 1, where exact zeros are ones.
    logits = np.array([[0.0, -1, -2, -1e-9, -1, -1, -1, 3], [-1, 0, 0, 1, 1, -0.0, 2, 1]])
    assert np.array(PackBits()(logits.astype(np.float32))).tolist() == [[129], [127]]


def test_pack_bits_symbolic_output_has_its_shape_and_dtype():
    output = PackBits()(keras.Input((24,)))
    assert (output.shape, output.dtype) == ((None, 3), "uint8")


def test_pack_bits_of_12_logits_is_an_error():
    with pytest.raises(ValueError, match="`num_bits` must be a positive multiple of 8.*=12"):
        PackBits()(np.zeros((1, 12), np.float32))


# --- MaskedMean ---


def test_masked_mean_hand_case_leaves_masked_steps_out():
    steps = np.array([[[1, 2], [3, 6], [100, 100]]], np.float32)
    # ((1 + 3) / 2, (2 + 6) / 2).
    assert np.array(MaskedMean()(steps, np.array([[1, 1, 0]]))).tolist() == [[2, 4]]


def test_masked_mean_of_masked_steps_alone_is_zero():
    steps = np.ones((2, 3, 4), np.float32)
    mean = np.array(MaskedMean()(steps, np.zeros((2, 3), np.float32)))
    assert mean.tolist() == np.zeros((2, 4)).tolist()


def test_masked_mean_of_all_steps_is_the_mean():
    steps = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    mean = MaskedMean()(steps, np.ones((2, 3), bool))
    np.testing.assert_allclose(mean, steps.mean(axis=1), rtol=1e-5, atol=1e-6)


# --- NotEqual ---


def test_not_equal_is_one_where_an_id_is_not_padding():
    ids = np.array([[3, 0, 1]], np.int32)
    mask = np.array(NotEqual(0)(ids))
    assert mask.dtype == np.float32
    assert mask.tolist() == [[1, 0, 1]]
    assert np.array(NotEqual(3)(ids)).tolist() == [[0, 1, 1]]


def test_not_equal_symbolic_output_is_float():
    assert NotEqual(0)(keras.Input((4,), dtype="int32")).dtype == "float32"


# --- WordDropout ---


def test_word_dropout_at_inference_changes_nothing():
    ids = np.arange(1, 13, dtype=np.int32).reshape(3, 4)
    layer = WordDropout(0.9, seed=0)
    np.testing.assert_array_equal(layer(ids), ids)
    np.testing.assert_array_equal(layer(ids, training=False), ids)


def test_word_dropout_of_rate_zero_changes_nothing_in_training():
    ids = np.arange(1, 13, dtype=np.int32).reshape(3, 4)
    np.testing.assert_array_equal(WordDropout(0.0)(ids, training=True), ids)


def test_word_dropout_in_training_hides_about_the_rate_and_keeps_the_rest():
    ids = np.full((100, 100), 7, np.int32)
    dropped = np.array(WordDropout(0.5, seed=0)(ids, training=True))
    assert dropped.dtype == np.int32
    assert set(np.unique(dropped)) == {0, 7}
    # 10,000 draws: a standard deviation of 0.005.
    assert (dropped == 0).mean() == pytest.approx(0.5, abs=0.025)


def test_word_dropout_draws_anew_at_every_call():
    ids, layer = np.full((4, 50), 7, np.int32), WordDropout(0.5, seed=0)
    first, second = layer(ids, training=True), layer(ids, training=True)
    assert (np.array(first) != np.array(second)).any()


def test_word_dropout_of_equal_seeds_draws_equally():
    ids = np.full((4, 50), 7, np.int32)
    one, other = WordDropout(0.5, seed=3), WordDropout(0.5, seed=3)
    np.testing.assert_array_equal(one(ids, training=True), other(ids, training=True))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_word_dropout_rate_out_of_range_is_an_error(rate):
    with pytest.raises(ValueError, match=rf"`rate` must be in \[0, 1\). Received: rate={rate}"):
        WordDropout(rate)


# --- Standardize ---


def test_standardize_before_it_is_adapted_changes_nothing():
    values = np.array([[1.0, -2.0], [3.0, 5.0]], np.float32)
    np.testing.assert_array_equal(Standardize()(values), values)


def test_standardize_adapted_has_mean_0_and_deviation_1_there_and_0_for_constants():
    # Means 2, 7, 5 and deviations 1, 2, 0.
    values = np.array([[1, 5, 5], [3, 9, 5]], np.float32)
    layer = Standardize()
    layer(values)
    layer.adapt(values)
    np.testing.assert_allclose(layer(values), [[-1, -1, 0], [1, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(layer(np.array([[2, 8, 99]], np.float32)), [[0, 0.5, 0]], atol=1e-6)
    assert not layer.trainable_variables


# --- Configurations ---


@pytest.mark.parametrize(
    "layer",
    [
        PackBits(name="p"),
        MaskedMean(name="m"),
        NotEqual(5, name="n"),
        Standardize(name="s"),
        WordDropout(0.25, seed=11, name="w"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_configuration_round_trip_is_whole(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


# --- Hellinger ---


def test_hellinger_hand_case_is_the_root_of_shares():
    # Shares 1/5 and 4/5; nothing but zeros stays zero; a negative number counts as 0.
    counts = np.array([[1, 4], [0, 0], [-3, 2]], np.float32)
    expected = [[0.2**0.5, 0.8**0.5], [0, 0], [0, 1]]
    np.testing.assert_allclose(Hellinger()(counts), expected, atol=1e-6)


# --- Standardize ---


def test_standardize_adapted_gives_mean_zero_and_deviation_one():
    layer = Standardize()
    vectors = np.random.default_rng(0).normal(5, [0.01, 3], (50, 2)).astype(np.float32)
    np.testing.assert_array_equal(layer(vectors), vectors)  # before it is adapted
    layer.adapt(vectors)
    done = np.array(layer(vectors))
    np.testing.assert_allclose(done.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(done.std(axis=0), 1, atol=1e-4)
    assert layer.trainable_weights == []


def test_standardize_constant_dimension_is_zero_whatever_comes_later():
    layer = Standardize()
    layer(np.zeros((1, 2), np.float32))
    layer.adapt(np.array([[0.1, 1], [0.1, 3], [0.1, 2]], np.float32))
    assert np.array(layer(np.array([[7.0, 2.0]], np.float32))).tolist() == [[0, 0]]
