"""Distance of relaxed hashes to binary codes."""

import keras
from keras import ops

__all__ = ["Quantization", "quantization"]


def quantization(codes, hash_values):
    """|h - B|^2 / (n K).

    Args:
        codes: (n, num_bits) of +1 and -1; no gradient flows into them.
        hash_values: (n, num_bits) in (-1, 1).

    Returns:
        A scalar in [0, 4).

    Source: Jiang and Li, CVPR 2017 (DCMH), eq. 1, second term, per bit.
    """
    return ops.mean(ops.square(hash_values - ops.stop_gradient(codes)))


@keras.saving.register_keras_serializable(package="udsph_tf")
class Quantization(keras.losses.Loss):
    """`quantization` with `y_true` the codes and `y_pred` the relaxed hashes."""

    def __init__(self, name: str = "quantization", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return quantization(y_true, y_pred)
