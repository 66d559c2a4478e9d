"""Cross-modal attention against a loop over pairs that forms every attended vector."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.networks import CrossModalAttention

TOLERANCE = {"rtol": 1e-3, "atol": 2e-4}


def softmax(values):
    exponentials = [math.exp(value - max(values)) for value in values]
    return [each / sum(exponentials) for each in exponentials]


def leaky_relu(value):
    return value if value > 0 else 0.1 * value


def lengths(values, axis):
    # The layer's guard against a length of zero, which a single small value comes near to.
    return np.sqrt((values**2).sum(axis=axis, keepdims=True) + 1e-8)


def attended(queries, sources, table, temperature):
    """Of every query: its attention over the sources, and its cosine with their weighted sum."""
    attention, agreement = [], []
    for number, query in enumerate(queries):
        weights = softmax([temperature * each for each in table[:, number]])
        seen = sum(a * source for a, source in zip(weights, sources, strict=True))
        attention.append(weights)
        agreement.append(query @ seen / np.linalg.norm(seen) / np.linalg.norm(query))
    return attention, agreement


def oracle(regions, words, mask, temperature, pooling, sharpness):
    """Equations 1 to 6 of Lee et al., pair by pair, words that are masked taken away."""
    scores = np.zeros((len(regions), len(words)))
    for i, image in enumerate(regions.astype(float)):
        for j in range(len(words)):
            text = words[j][mask[j] > 0].astype(float)
            if not len(text):
                continue
            relation = np.array([[leaky_relu(r @ w) for w in text] for r in image])
            both = []
            for queries, sources, table in (
                (text, image, relation / lengths(relation, 1)),
                (image, text, (relation / lengths(relation, 0)).T),
            ):
                _, agreement = attended(queries, sources, table, temperature)
                if pooling == "mean":
                    both.append(sum(agreement) / len(agreement))
                else:
                    total = sum(math.exp(sharpness * each) for each in agreement)
                    both.append(math.log(total) / sharpness)
            scores[i, j] = sum(both) / 2
    return scores


def unit(rng, *shape):
    values = rng.normal(size=shape)
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def example(seed=0, images=3, texts=4, regions=5, words=6, dim=7):
    """Regions, words and masks; the last text has all its words, the one before none."""
    rng = np.random.default_rng(seed)
    used = rng.integers(1, words + 1, texts)
    used[-1] = words
    if texts > 1:
        used[-2] = 0
    mask = (np.arange(words) < used[:, None]).astype(np.float32)
    return unit(rng, images, regions, dim), unit(rng, texts, words, dim), mask


@pytest.mark.parametrize("pooling", ["mean", "logsumexp"])
@given(
    seed=st.integers(0, 1000),
    images=st.integers(1, 3),
    texts=st.integers(1, 3),
    regions=st.integers(1, 5),
    words=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_attention_equals_the_oracle(pooling, seed, images, texts, regions, words):
    arguments = example(seed, images, texts, regions, words)
    scores = CrossModalAttention(pooling=pooling)(*arguments)
    np.testing.assert_allclose(scores, oracle(*arguments, 9.0, pooling, 6.0), **TOLERANCE)


def test_attention_equals_the_oracle_with_other_settings():
    arguments = example()
    layer = CrossModalAttention(temperature=3.0, pooling="logsumexp", sharpness=2.0)
    expected = oracle(*arguments, 3.0, "logsumexp", 2.0)
    np.testing.assert_allclose(layer(*arguments), expected, **TOLERANCE)


def test_attention_hand_case_has_the_worked_out_value():
    # One region and one word: both attend to all there is, so the score is their cosine, 0.6.
    regions, words = np.array([[[1, 0]]], np.float32), np.array([[[0.6, 0.8]]], np.float32)
    scores = CrossModalAttention()(regions, words, np.ones((1, 1), np.float32))
    assert float(scores[0, 0]) == pytest.approx(0.6, 1e-5)


def test_attention_score_is_the_mean_of_both_directions():
    # The word is the first of two regions that are at right angles. It attends to that region by
    # e^9 / (e^9 + 1) and agrees by 1.0000; the regions see the word alone and agree by 1 and 0.
    regions = np.array([[[1, 0], [0, 1]]], np.float32)
    words = np.array([[[1, 0]]], np.float32)
    scores = CrossModalAttention()(regions, words, np.ones((1, 1), np.float32))
    assert float(scores[0, 0]) == pytest.approx((1 + (1 + 0) / 2) / 2, 1e-5)


@given(
    seed=st.integers(0, 1000),
    pairs=st.integers(1, 4),
    regions=st.integers(1, 5),
    words=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_attention_maps_equal_the_oracle(seed, pairs, regions, words):
    images, texts, mask = example(seed, pairs, pairs, regions, words)
    weights, agreement = CrossModalAttention(temperature=4.0).maps(images, texts, mask)
    expected, agreed = np.zeros((pairs, regions, words)), np.zeros((pairs, words))
    for i, image in enumerate(images.astype(float)):
        used = mask[i] > 0
        if not used.any():
            continue
        text = texts[i][used].astype(float)
        relation = np.array([[leaky_relu(r @ w) for w in text] for r in image])
        rows, cosines = attended(text, image, relation / lengths(relation, 1), 4.0)
        expected[i][:, used], agreed[i, used] = np.transpose(rows), cosines
    np.testing.assert_allclose(weights, expected, **TOLERANCE)
    np.testing.assert_allclose(agreement, agreed, **TOLERANCE)


def test_attention_maps_hand_case_has_the_worked_out_values():
    # s' is 1 and 0, so A is softmax(9, 0) = 0.999877, 0.000123; u = A, and cos(word, u) is
    # 0.999877 / sqrt(0.999877^2 + 0.000123^2) = 1.0000. The second word is padding.
    regions = np.array([[[1, 0], [0, 1]]], np.float32)
    words = np.array([[[1, 0], [0, 1]]], np.float32)
    weights, agreement = CrossModalAttention().maps(regions, words, np.array([[1, 0]]))
    np.testing.assert_allclose(weights, [[[0.999877, 0], [0.000123, 0]]], atol=1e-6)
    np.testing.assert_allclose(agreement, [[1, 0]], atol=1e-6)


def test_attention_maps_weights_are_shares_of_the_words_that_are_there():
    regions, words, mask = example(images=4)
    weights, _ = CrossModalAttention().maps(regions, words, mask.astype(bool))
    assert weights.shape == (4, 5, 6)
    np.testing.assert_allclose(np.sum(weights, axis=1), mask, atol=1e-5)


def test_attention_maps_of_images_and_texts_that_are_not_pairs_is_an_error():
    with pytest.raises(ValueError, match="aligned pairs. Received: 3 images and 4 texts"):
        CrossModalAttention().maps(*example())


@pytest.mark.parametrize("pooling", ["mean", "logsumexp"])
def test_attention_of_a_text_without_words_is_zero(pooling):
    regions, words, mask = example()
    mask[:] = 0
    scores = CrossModalAttention(pooling=pooling)(regions, words, mask)
    np.testing.assert_array_equal(scores, np.zeros((3, 4)))


@pytest.mark.parametrize("pooling", ["mean", "logsumexp"])
def test_attention_does_not_see_what_is_masked(pooling):
    regions, words, mask = example()
    layer = CrossModalAttention(pooling=pooling)
    changed = np.where(mask[:, :, None] > 0, words, unit(np.random.default_rng(9), *words.shape))
    expected = np.array(layer(regions, words, mask))
    np.testing.assert_allclose(layer(regions, changed, mask), expected, atol=1e-6)
    np.testing.assert_allclose(layer(regions, words, mask.astype(bool)), expected, atol=1e-6)


def test_attention_follows_permutations_of_items_and_ignores_those_of_parts():
    regions, words, mask = example()
    layer, rng = CrossModalAttention(), np.random.default_rng(1)
    scores = np.array(layer(regions, words, mask))
    images, texts = rng.permutation(3), rng.permutation(4)
    permuted = layer(regions[images], words[texts], mask[texts])
    np.testing.assert_allclose(permuted, scores[images][:, texts], atol=1e-5)
    inside, within = rng.permutation(5), rng.permutation(6)
    shuffled = layer(regions[:, inside], words[:, within], mask[:, within])
    np.testing.assert_allclose(shuffled, scores, atol=1e-5)


def test_attention_score_of_a_pair_depends_on_that_pair_alone():
    regions, words, mask = example()
    layer = CrossModalAttention()
    scores = np.array(layer(regions, words, mask))
    alone = layer(regions[1:2], words[3:4], mask[3:4])
    np.testing.assert_allclose(alone[0, 0], scores[1, 3], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "logsumexp"])
@pytest.mark.parametrize("case", ["random", "zero", "opposite", "equal", "no words"])
def test_attention_gradient_is_finite(pooling, case):
    regions, words, mask = example()
    if case == "zero":
        regions, words = np.zeros_like(regions), np.zeros_like(words)
    if case == "opposite":
        # Attended sums of opposite vectors have no length.
        regions[:] = np.array([1, -1, 1, -1, 0])[:, None] * regions[0, 0]
        words[:] = np.array([1, -1, 1, -1, 1, -1])[:, None] * regions[0, 0]
    if case == "equal":
        regions[:], words[:] = regions[0, 0], regions[0, 0]
    if case == "no words":
        mask[:] = 0
    regions, words = tf.constant(regions), tf.constant(words)
    with tf.GradientTape() as tape:
        tape.watch([regions, words])
        scores = CrossModalAttention(pooling=pooling)(regions, words, mask)
    assert np.isfinite(scores).all()
    for gradient in tape.gradient(scores, [regions, words]):
        assert np.isfinite(gradient).all()


def test_attention_mean_lies_between_minus_one_and_one():
    scores = np.array(CrossModalAttention()(*example(seed=3)))
    assert (np.abs(scores) <= 1 + 1e-5).all()


def test_attention_symbolic_output_has_a_score_for_every_pair():
    output = CrossModalAttention()(
        keras.Input((5, 7), batch_size=3), keras.Input((6, 7), batch_size=4), keras.Input((6,))
    )
    assert tuple(output.shape) == (3, 4)


def test_attention_configuration_round_trip_is_whole():
    layer = CrossModalAttention(temperature=2.0, pooling="logsumexp", sharpness=3.0, name="a")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    np.testing.assert_allclose(again(*example()), layer(*example()))


def test_attention_unknown_pooling_is_an_error():
    with pytest.raises(ValueError, match='`pooling` must be "mean" or .* Received: pooling=\'max'):
        CrossModalAttention(pooling="max")


@pytest.mark.parametrize("setting", [{"temperature": 0.0}, {"sharpness": -1.0}])
def test_attention_setting_that_is_not_positive_is_an_error(setting):
    with pytest.raises(ValueError, match="`temperature` and `sharpness` must be positive"):
        CrossModalAttention(**setting)
