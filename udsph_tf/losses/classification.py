"""Multi-label prediction: what makes features and codes discriminate."""

import keras
from keras import ops

__all__ = ["Classification", "classification"]


def classification(labels, label_logits):
    """mean_i sum_c BCE(sigmoid(z_ic), y_ic).

    Summed over labels, so that its size does not shrink as label sets grow.

    Args:
        labels: (n, num_labels) multi-hot.
        label_logits: (n, num_labels).

    Returns:
        A scalar, >= 0.
    """
    # softplus(z) - y z is binary cross-entropy from logits, finite at any z.
    labels = ops.cast(labels, label_logits.dtype)
    return ops.mean(ops.sum(ops.softplus(label_logits) - labels * label_logits, axis=1))


@keras.saving.register_keras_serializable(package="udsph_tf")
class Classification(keras.losses.Loss):
    """`classification` with `y_true` the labels and `y_pred` their logits."""

    def __init__(self, name: str = "classification", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return classification(y_true, y_pred)
