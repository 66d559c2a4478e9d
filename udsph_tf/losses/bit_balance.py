"""Every bit +1 for half of the items."""

import keras
from keras import ops

__all__ = ["BitBalance", "bit_balance"]


def bit_balance(hash_values):
    """sum_k (mean_i h_ik)^2 / K.

    Args:
        hash_values: (n, num_bits) in (-1, 1).

    Returns:
        A scalar in [0, 1): 0 where every bit is balanced.

    Source: Jiang and Li, CVPR 2017 (DCMH), eq. 1, third term, per bit and item.
    """
    return ops.mean(ops.square(ops.mean(hash_values, axis=0)))


@keras.saving.register_keras_serializable(package="udsph_tf")
class BitBalance(keras.losses.Loss):
    """`bit_balance` of `y_pred`; `y_true` is not used."""

    def __init__(self, name: str = "bit_balance", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return bit_balance(y_pred)
