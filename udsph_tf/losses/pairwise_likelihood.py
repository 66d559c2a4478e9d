"""Negative log-likelihood of which pairs are similar."""

import keras
from keras import ops

from udsph_tf.losses.similarity import level_weights

__all__ = ["PairwiseLikelihood", "pairwise_likelihood"]


def pairwise_likelihood(similarity, theta, weights):
    """sum_ij w_ij (softplus(theta_ij) - S_ij theta_ij).

    Args:
        similarity: (n, m), S in [0, 1].
        theta: (n, m), half inner products, in [-K/2, K/2].
        weights: (n, m), summing to 1.

    Returns:
        A scalar, >= 0.

    Source: Zhang and Li, AAAI 2014 (supervised hashing with latent factors), eq. 4; Jiang and Li,
    CVPR 2017 (DCMH), eq. 1. softplus, since log(1 + exp(x)) is inf at x = 100.
    """
    return ops.sum(weights * (ops.softplus(theta) - similarity * theta))


@keras.saving.register_keras_serializable(package="udsph_tf")
class PairwiseLikelihood(keras.losses.Loss):
    """`pairwise_likelihood` with `y_true` the similarity and `y_pred` theta, both (n, m).

    Args:
        balance: give similar and dissimilar pairs the same total weight.
    """

    def __init__(self, balance: bool = True, name: str = "pairwise_likelihood", **kwargs):
        super().__init__(name=name, **kwargs)
        self.balance = balance

    def call(self, y_true, y_pred):
        return pairwise_likelihood(y_true, y_pred, level_weights(y_true, balance=self.balance))

    def get_config(self):
        return {**super().get_config(), "balance": self.balance}
