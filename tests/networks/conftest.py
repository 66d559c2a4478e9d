"""Small whole hashers that several tests look at."""

import keras
import pytest

from udsph_tf.networks import attach_body, image_hasher, small_cnn, text_hasher, wordpiece

SIZES = {
    "num_bits": 16,
    "num_labels": 5,
    "hidden_dim": 12,
    "feature_dim": 8,
    "local_dim": 6,
    "dropout": 0.5,
}


@pytest.fixture(scope="session")
def whole_image_hasher():
    """From 32x32 pixels."""
    keras.utils.set_random_seed(1)
    body = small_cnn((32, 32, 3))
    return attach_body(body, image_hasher((2, 2, 192), 384, **SIZES), "image_encoder")


@pytest.fixture(scope="session")
def whole_text_hasher():
    """From four token ids below 20."""
    keras.utils.set_random_seed(2)
    body = wordpiece(20, 4, embedding_dim=7, word_dropout=0.3, seed=0)
    return attach_body(body, text_hasher((4, 7), 7, **SIZES), "text_encoder")


@pytest.fixture(scope="session")
def sizes():
    """Arguments of the two hashers."""
    return dict(SIZES)
