import keras
import numpy as np
import pytest

from udsph_tf.networks import bag_of_words, doc2vec, word2vec
from udsph_tf.networks.word_bodies import DocumentVector

# Ids: 0 is padding, 1 an unknown word. The second text says "2" twice, the third nothing.
IDS = np.array([[2, 3, 4, 0], [2, 1, 2, 5], [1, 0, 0, 0]], np.int32)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


# --- Bag of words ---


def test_bag_of_words_pooled_is_a_dense_layer_over_the_multi_hot_vector():
    body = bag_of_words(6, 4, embedding_dim=3, bag_dim=5)
    body.get_layer("bag_bias").bias.assign([0.1, -0.1, 0.2, 0.0, 0.3])
    hot = np.zeros((3, 6))
    hot[0, [2, 3, 4]] = hot[1, [2, 5]] = 1
    rows = np.array(body.get_layer("bag_rows").get_weights()[0])
    expected = np.maximum(hot @ rows + [0.1, -0.1, 0.2, 0.0, 0.3], 0)
    np.testing.assert_allclose(body(IDS)["pooled"], expected, atol=1e-6)


def test_bag_of_words_attention_reads_each_known_word_once():
    body = bag_of_words(6, 4, embedding_dim=3, bag_dim=5)
    outputs = body(IDS)
    assert np.array(outputs["word_mask"]).tolist() == [[1, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    table = np.array(body.get_layer("embedding").get_weights()[0])
    np.testing.assert_array_equal(outputs["word_map"], table[IDS])


def test_bag_of_words_order_and_repetition_say_nothing():
    body = bag_of_words(6, 4, bag_dim=5)
    ids = np.array([[2, 3, 4, 0], [4, 2, 3, 2], [3, 1, 2, 4]], np.int32)
    pooled = np.array(body(ids)["pooled"])
    np.testing.assert_allclose(pooled, pooled[[0, 0, 0]], atol=1e-6)


def test_bag_of_words_hides_words_in_training_alone():
    body = bag_of_words(6, 4, bag_dim=50, word_dropout=0.9, seed=1)
    quiet = np.array(body(IDS)["pooled"])
    np.testing.assert_array_equal(body(IDS, training=False)["pooled"], quiet)
    assert np.abs(np.array(body(IDS, training=True)["pooled"]) - quiet).max() > 1e-3


# --- word2vec ---


def test_word2vec_begins_as_the_given_vectors_and_pools_the_known_words():
    vectors = np.arange(18, dtype=np.float32).reshape(6, 3)
    body = word2vec(vectors, 4)
    outputs = body(IDS)
    np.testing.assert_array_equal(outputs["word_map"], vectors[IDS])
    # (rows 2 + 3 + 4) / 3; twice row 2 and once row 5; no known word at all.
    expected = [vectors[3], (2 * vectors[2] + vectors[5]) / 3, [0, 0, 0]]
    np.testing.assert_allclose(outputs["pooled"], expected, rtol=1e-6)
    assert np.array(outputs["word_mask"]).tolist() == [[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]]
    assert len(body.trainable_weights) == 1


# --- doc2vec ---


def tables(num_words=6, dim=4):
    rng = np.random.default_rng(0)
    noise = rng.uniform(size=num_words)
    noise[:2] = 0
    words, predictors = rng.normal(size=(2, num_words, dim)).astype(np.float32)
    return words, predictors, (noise / noise.sum()).astype(np.float32)


def likelihood(document, ids, predictors, noise, negatives):
    """L of `DocumentVector`, word by word."""
    total = 0.0
    for word in (each for each in ids if each > 1):
        total += np.log(sigmoid(document @ predictors[word]))
        for other in range(len(predictors)):
            if other != word:
                drawn = np.log(sigmoid(-document @ predictors[other]))
                total += negatives * noise[other] * drawn
    return total


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("steps", [1, 3])
def test_doc2vec_climbs_its_likelihood_by_gensim_s_rates(steps):
    words, predictors, noise = tables()
    body = doc2vec(words, predictors, noise, 4, negatives=5, steps=steps)
    found = np.array(body(IDS)["pooled"])
    expected = np.zeros((3, 4))
    for rate in np.linspace(0.025, 0.0001, steps):
        for row, ids in enumerate(IDS):
            gradient = np.zeros(4)
            for axis in range(4):  # central differences, in double precision
                move = np.eye(4)[axis] * 1e-5
                gradient[axis] = likelihood(expected[row] + move, ids, predictors, noise, 5)
                gradient[axis] -= likelihood(expected[row] - move, ids, predictors, noise, 5)
            expected[row] = expected[row] + rate * gradient / 2e-5
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[2].tolist() == [0, 0, 0, 0]  # a text without a known word


def test_doc2vec_more_steps_climb_higher():
    words, predictors, noise = tables()
    heights = [likelihood(np.zeros(4), IDS[1], predictors, noise, 5)]
    for steps in (5, 20, 80):
        body = doc2vec(words, predictors, noise, 4, negatives=5, steps=steps)
        document = np.array(body(IDS[1:2])["pooled"][0])
        heights.append(likelihood(document, IDS[1], predictors, noise, 5))
    assert heights == sorted(heights)


def test_doc2vec_is_the_same_for_each_text_alone_in_any_order_and_has_nothing_to_train():
    words, predictors, noise = tables()
    body = doc2vec(words, predictors, noise, 4, negatives=5, steps=10)
    whole = np.array(body(IDS)["pooled"])
    alone = np.concatenate([np.array(body(IDS[[row]])["pooled"]) for row in range(3)])
    np.testing.assert_allclose(alone, whole, atol=1e-7)
    turned = np.array(body(np.array([[4, 2, 3, 0]], np.int32))["pooled"])
    np.testing.assert_allclose(turned[0], whole[0], atol=1e-6)
    assert body.trainable_weights == []
    np.testing.assert_array_equal(body(IDS)["word_map"], words[IDS])


def test_document_vector_without_steps_raises():
    with pytest.raises(ValueError, match="`steps` must be positive. Received: steps=0"):
        DocumentVector(6, 4, 5, 0)
