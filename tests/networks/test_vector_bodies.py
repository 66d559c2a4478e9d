import keras
import numpy as np
import pytest

from udsph_tf.networks import attach_body, image_hasher, image_vector, text_hasher, text_vector

VECTORS = np.random.default_rng(0).gamma(1.0, size=(40, 6)).astype(np.float32)


@pytest.mark.parametrize("form", ["plain", "hellinger"])
def test_image_vector_is_standardised_and_its_own_one_region(form):
    outputs = image_vector(VECTORS, form=form)(VECTORS)
    pooled = np.array(outputs["pooled"])
    np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(pooled.std(axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(outputs["feature_map"], pooled[:, None, None])


def test_text_vector_is_its_own_one_word():
    outputs = text_vector(VECTORS)(VECTORS[:3])
    np.testing.assert_array_equal(outputs["word_map"], np.array(outputs["pooled"])[:, None])
    assert np.array(outputs["word_mask"]).tolist() == [[1], [1], [1]]


def test_vector_bodies_use_the_given_items_statistics_alone():
    # Mean 1, deviation 1: 5 becomes 4.
    body = image_vector(np.array([[0.0], [2.0]]))
    assert np.array(body(np.array([[5.0]]))["pooled"]).tolist() == [[4]]


def test_vector_bodies_hellinger_ignores_the_scale_of_counts():
    body = text_vector(VECTORS, form="hellinger")
    np.testing.assert_allclose(body(VECTORS)["pooled"], body(9 * VECTORS)["pooled"], atol=1e-4)


def test_vector_bodies_noise_is_added_in_training_alone():
    body = image_vector(VECTORS, noise=0.5, seed=0)
    quiet = np.array(body(VECTORS, training=False)["pooled"])
    np.testing.assert_array_equal(body(VECTORS)["pooled"], quiet)
    noise = np.array(body(VECTORS, training=True)["pooled"]) - quiet
    assert 0.4 < noise.std() < 0.6


@pytest.mark.parametrize("make", [image_vector, text_vector])
def test_vector_bodies_have_nothing_to_train_and_fit_their_hasher(make, sizes):
    keras.utils.set_random_seed(0)
    body = make(VECTORS, name="body")
    assert body.trainable_weights == []
    hasher = image_hasher((1, 1, 6), 6, **sizes) if make is image_vector else None
    whole = attach_body(body, hasher or text_hasher((1, 6), 6, **sizes), "whole")
    outputs = whole(VECTORS)
    local = outputs["regions" if make is image_vector else "words"]
    assert outputs["hash"].shape == (40, 16)
    np.testing.assert_allclose(np.linalg.norm(local, axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "form", "message"),
    [
        (VECTORS, "sqrt", "`form` must be 'hellinger' or 'plain'. Received: form='sqrt'"),
        (-VECTORS, "hellinger", "`vectors` must not be negative for form='hellinger'"),
        (VECTORS[0], "plain", r"must be a matrix of finite numbers .* shape=\(6,\)"),
        (VECTORS[:0], "plain", r"with at least one row. Received: shape=\(0, 6\)"),
        (VECTORS * np.nan, "plain", "must be a matrix of finite numbers"),
    ],
)
def test_vector_bodies_of_unfit_vectors_raise(vectors, form, message):
    with pytest.raises(ValueError, match=message):
        image_vector(vectors, form=form)
