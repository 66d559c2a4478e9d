"""The discriminator: does a feature come from the label net, or from a hasher?"""

import keras
from keras import layers

__all__ = ["discriminator"]


def discriminator(feature_dim: int, *, hidden_dim: int = 256, name: str) -> keras.Model:
    """A functional model from features (n, feature_dim) to one logit (n, 1).

    A positive logit says "label net". Features are normalised to unit length first, so that the
    verdict rests on their direction, which is all the similarity terms use too.

    Args:
        feature_dim: length of the features.
        hidden_dim: width.
        name: the model's name.

    Source: Li et al., CVPR 2018 (SSAH), section 3.4: one discriminator for each modality.
    """
    features = keras.Input((feature_dim,), name="features")
    x = layers.UnitNormalization(name="unit")(features)
    x = layers.Dense(hidden_dim, activation="leaky_relu", name="hidden")(x)
    x = layers.Dense(hidden_dim // 2, activation="leaky_relu", name="hidden_2")(x)
    return keras.Model(features, layers.Dense(1, name="logit")(x), name=name)
