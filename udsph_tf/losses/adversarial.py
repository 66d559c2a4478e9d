"""Adversarial learning: hashers whose features look like the label net's to a discriminator."""

import keras
from keras import ops

__all__ = ["Adversarial", "adversarial", "discrimination"]


def adversarial(logits):
    """BCE(D(f_m), 1) = mean softplus(-D(f_m)): small where the discriminator says "label net".

    Args:
        logits: (n, 1), the discriminator's verdict on a hasher's features.

    Returns:
        A scalar, >= 0.

    Source: Li et al., CVPR 2018 (SSAH), eq. 6, with the non-saturating target of Goodfellow et
    al., NeurIPS 2014, section 3.
    """
    return ops.mean(ops.softplus(-logits))


def discrimination(label_net_logits, hasher_logits):
    """BCE(D(f_l), 1) + BCE(D(f_m), 0), what a discriminator minimises.

    Args:
        label_net_logits: (n, 1), its verdict on the label net's features.
        hasher_logits: (n, 1), its verdict on a hasher's features.

    Returns:
        A scalar, >= 0; 2 log 2 where it cannot tell them apart.
    """
    return ops.mean(ops.softplus(-label_net_logits)) + ops.mean(ops.softplus(hasher_logits))


@keras.saving.register_keras_serializable(package="udsph_tf")
class Adversarial(keras.losses.Loss):
    """Binary cross-entropy of logits `y_pred` with the wanted verdict `y_true` (1: label net)."""

    def __init__(self, name: str = "adversarial", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return ops.mean(ops.softplus(y_pred) - ops.cast(y_true, y_pred.dtype) * y_pred)
