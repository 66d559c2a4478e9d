"""The reference resize against the one that encoders are trained with."""

import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.data.images import decode_and_resize
from udsph_tf.data.resize import resize

SHAPES = [(1, 1), (1, 10_000), (10_000, 1), (32, 32), (60, 80), (333, 200), (31, 1021), (2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_resize_gives_the_pixels_of_training(shape):
    picture = np.random.default_rng(shape[0]).integers(0, 256, (*shape, 3), dtype=np.uint8)
    encoded = tf.io.encode_png(picture)
    for size in (32, 128):
        expected = decode_and_resize(size)(encoded)
        np.testing.assert_array_equal(resize(picture, size), expected)
