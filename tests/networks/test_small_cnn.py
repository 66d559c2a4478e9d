import keras
import numpy as np
import pytest

from udsph_tf.networks import small_cnn

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def body():
    keras.utils.set_random_seed(0)
    return small_cnn((32, 48, 3))


def test_small_cnn_outputs_have_their_names_and_shapes(body):
    outputs = body(PIXELS, training=False)
    assert tuple(outputs["feature_map"].shape) == (4, 2, 3, 192)
    assert tuple(outputs["pooled"].shape) == (4, 384)
    assert (body.inputs[0].name, body.inputs[0].dtype) == ("pixels", "uint8")


def test_small_cnn_pooled_is_mean_and_maximum_of_the_map(body):
    outputs = body(PIXELS, training=False)
    cells = np.array(outputs["feature_map"]).reshape(4, 6, 192)
    expected = np.concatenate([cells.mean(axis=1), cells.max(axis=1)], axis=1)
    np.testing.assert_allclose(outputs["pooled"], expected, rtol=1e-4, atol=1e-6)


def test_small_cnn_at_inference_augments_nothing(body):
    first = body(PIXELS, training=False)["pooled"]
    np.testing.assert_array_equal(first, body(PIXELS, training=False)["pooled"])
    plain = small_cnn((32, 48, 3), augment=False)
    plain.set_weights(body.get_weights())
    np.testing.assert_allclose(plain(PIXELS, training=False)["pooled"], first, atol=1e-5)


@pytest.mark.parametrize("augment", [True, False])
def test_small_cnn_in_training_augments_where_it_is_asked_to(augment):
    body = small_cnn((32, 32, 3), augment=augment)
    # Frozen statistics: what differs between two calls is augmentation alone.
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    pixels = PIXELS[:, :, :32]
    first, second = (np.array(body(pixels, training=True)["pooled"]) for _ in range(2))
    assert (np.abs(first - second).max() > 1e-3) == augment
