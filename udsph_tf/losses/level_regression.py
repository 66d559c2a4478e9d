"""Regression of the similarity of codes to graded levels of shared labels."""

import keras
from keras import ops

from udsph_tf.losses.similarity import level_weights

__all__ = ["LevelRegression", "level_regression"]


def level_regression(similarity, cosine, weights):
    """sum_ij w_ij (cos_ij - t_ij)^2, with cos = 2 theta / K.

    Where the likelihood saturates once a pair is on the right side, this keeps *how much* two
    items share: equal label sets aim at equal codes, disjoint ones at K/2 differing bits.

    Args:
        similarity: (n, m), targets t in [0, 1].
        cosine: (n, m), 2 theta / K in [-1, 1].
        weights: (n, m), summing to 1.

    Returns:
        A scalar, >= 0.

    Source: our own form; the binary case with t = +-1 is Liu et al., CVPR 2012 (KSH), eq. 5.
    """
    return ops.sum(weights * ops.square(cosine - similarity))


@keras.saving.register_keras_serializable(package="udsph_tf")
class LevelRegression(keras.losses.Loss):
    """`level_regression` with `y_true` the targets and `y_pred` the cosines, both (n, m).

    Args:
        balance: give every level of similarity the same total weight.
    """

    def __init__(self, balance: bool = True, name: str = "level_regression", **kwargs):
        super().__init__(name=name, **kwargs)
        self.balance = balance

    def call(self, y_true, y_pred):
        return level_regression(y_true, y_pred, level_weights(y_true, balance=self.balance))

    def get_config(self):
        return {**super().get_config(), "balance": self.balance}
