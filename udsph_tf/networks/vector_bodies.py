"""Bodies for data sets that come as feature vectors, without pictures or words."""

import keras
import numpy as np
from keras import layers, ops

from udsph_tf.networks.layers import Hellinger, Standardize

__all__ = ["image_vector", "text_vector"]


def image_vector(
    vectors: np.ndarray,
    *,
    form: str = "plain",
    noise: float = 0.0,
    seed: int | None = None,
    name: str = "image_vector",
) -> keras.Model:
    """An image body that standardises a feature vector; nothing in it is trained.

    Args:
        vectors: (n, dim), those of the training items: their mean and deviation are kept.
        form: `"plain"`, or `"hellinger"` to take square roots of shares first, for counts.
        noise: deviation of Gaussian noise added in training, in [0, 1]; 1 is the vectors' own.
        seed: seed of that draw.
        name: the model's name.

    Returns:
        A model from `vector` (n, dim) float32 to a dict with `pooled` (n, dim) and `feature_map`
        (n, 1, 1, dim), which is the same vector as the one region.

    Raises:
        ValueError: an unknown form, vectors that are no matrix of finite numbers, or negative
            ones for `hellinger`.
    """
    vector, pooled = _standardized(vectors, form, noise, seed)
    feature_map = layers.Reshape((1, 1, pooled.shape[-1]), name="feature_map")(pooled)
    return keras.Model(vector, {"feature_map": feature_map, "pooled": pooled}, name=name)


def text_vector(
    vectors: np.ndarray,
    *,
    form: str = "plain",
    noise: float = 0.0,
    seed: int | None = None,
    name: str = "text_vector",
) -> keras.Model:
    """A text body as `image_vector`.

    Returns:
        A model from `vector` (n, dim) float32 to a dict with `pooled` (n, dim), `word_map`
        (n, 1, dim), which is the same vector as the one word, and `word_mask` (n, 1) of ones.
    """
    vector, pooled = _standardized(vectors, form, noise, seed)
    outputs = {
        "word_map": layers.Reshape((1, pooled.shape[-1]), name="word_map")(pooled),
        "word_mask": ops.ones_like(pooled[:, :1]),
        "pooled": pooled,
    }
    return keras.Model(vector, outputs, name=name)


def _standardized(vectors: np.ndarray, form: str, noise: float, seed: int | None):
    vectors = np.asarray(vectors, dtype="float32")
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise ValueError(
            "`vectors` must be a matrix of finite numbers with at least one row. "
            f"Received: shape={vectors.shape}"
        )
    if form not in ("hellinger", "plain"):
        raise ValueError(f"`form` must be 'hellinger' or 'plain'. Received: form={form!r}")
    vector = x = keras.Input((vectors.shape[1],), name="vector")
    if form == "hellinger":
        if (vectors < 0).any():
            raise ValueError(
                "`vectors` must not be negative for form='hellinger', which takes square roots. "
                f"Received: a vector with {vectors.min()}"
            )
        shares = Hellinger(name="hellinger")
        x, vectors = shares(x), ops.convert_to_numpy(shares(vectors))
    standardize = Standardize(name="standardize")
    x = standardize(x)
    standardize.adapt(vectors)
    return vector, layers.GaussianNoise(noise, seed=seed, name="pooled")(x)
