"""An item's own counterpart is nearer than the other items of the batch."""

import keras
from keras import ops

__all__ = ["InstanceAlignment", "instance_alignment"]


def instance_alignment(cosine, temperature=0.1):
    """-mean_i log softmax_j(cos_ij / T)_ii, averaged over rows and columns.

    Semantic terms draw items of equal label sets to one point. This one spreads them again, so
    that what the words say beyond the labels (a colour, a brand) still orders them.

    Args:
        cosine: (n, n), <h_v,i , h_t,j> / K in (-1, 1), item i's counterpart on the diagonal.
        temperature: T, positive; smaller looks at the nearest alone.

    Returns:
        A scalar, >= 0.

    Source: van den Oord et al., 2018 (InfoNCE), in the symmetric form of Zhang et al., 2020
    (ConVIRT), on relaxed hashes.
    """
    logits = cosine / temperature
    own = ops.diagonal(logits)
    by_rows = ops.mean(ops.logsumexp(logits, axis=1) - own)
    by_columns = ops.mean(ops.logsumexp(logits, axis=0) - own)
    return (by_rows + by_columns) / 2


@keras.saving.register_keras_serializable(package="udsph_tf")
class InstanceAlignment(keras.losses.Loss):
    """`instance_alignment` of `y_pred`, the cosines; `y_true` is not used.

    Args:
        temperature: T, positive.
    """

    def __init__(self, temperature: float = 0.1, name: str = "instance_alignment", **kwargs):
        super().__init__(name=name, **kwargs)
        if temperature <= 0:
            raise ValueError(f"`temperature` must be positive. Received: temperature={temperature}")
        self.temperature = temperature

    def call(self, y_true, y_pred):
        return instance_alignment(y_pred, self.temperature)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
