"""The label net: label sets to features, hash and label logits; it supervises both hashers."""

import keras
from keras import layers

from udsph_tf.codes import check_num_bits
from udsph_tf.networks.heads import hash_and_label_heads

__all__ = ["label_net"]


def label_net(
    num_labels: int,
    *,
    num_bits: int,
    hidden_dim: int = 512,
    feature_dim: int = 512,
    name: str = "label_net",
) -> keras.Model:
    """A functional model from multi-hot labels (n, num_labels) to the three outputs.

    Args:
        num_labels: C.
        num_bits: K, a positive multiple of 8.
        hidden_dim, feature_dim: widths.
        name: the model's name.

    Returns:
        A model to a dict with `features`, `hash_logits`, `hash`, `label_logits`.

    Raises:
        ValueError: `num_bits` is not a positive multiple of 8.

    Source: the self-supervised semantic network of Li et al., CVPR 2018 (SSAH), which UDSPH's
    label network follows by its abstract.
    """
    check_num_bits(num_bits)
    labels = keras.Input((num_labels,), name="labels")
    x = layers.Dense(hidden_dim, activation="relu", name="hidden")(labels)
    features = layers.Dense(feature_dim, name="features")(x)
    outputs = hash_and_label_heads(features, num_bits=num_bits, num_labels=num_labels)
    return keras.Model(labels, outputs, name=name)
