"""The image hasher: outputs of an image body to features, hash, label logits and regions."""

import keras
from keras import layers

from udsph_tf.codes import check_num_bits
from udsph_tf.networks.heads import hash_and_label_heads, local_embeddings, pooled_trunk

__all__ = ["image_hasher"]


def image_hasher(
    feature_map_shape: tuple[int, int, int],
    pooled_dim: int,
    *,
    num_bits: int,
    num_labels: int,
    hidden_dim: int = 1024,
    feature_dim: int = 512,
    local_dim: int = 128,
    dropout: float = 0.4,
    name: str = "image_hasher",
) -> keras.Model:
    """A functional model on top of an image body (or of its cached outputs).

    Args:
        feature_map_shape: (height, width, channels) of the body's feature map.
        pooled_dim: length of the body's pooled vector.
        num_bits: K, a positive multiple of 8.
        num_labels: C.
        hidden_dim, feature_dim, local_dim: widths.
        dropout: rate in [0, 1).
        name: the model's name.

    Returns:
        A model from `{"feature_map", "pooled"}` to a dict with `features` (n, feature_dim),
        `hash_logits` and `hash` (n, num_bits), `label_logits` (n, num_labels) and `regions`
        (n, height * width, local_dim), unit length.

    Raises:
        ValueError: `num_bits` is not a positive multiple of 8.
    """
    check_num_bits(num_bits)
    # Layers
    feature_map = keras.Input(feature_map_shape, name="feature_map")
    pooled = keras.Input((pooled_dim,), name="pooled")
    height, width, channels = feature_map_shape
    # Functional model
    features = pooled_trunk(pooled, hidden_dim=hidden_dim, feature_dim=feature_dim, dropout=dropout)
    outputs = hash_and_label_heads(features, num_bits=num_bits, num_labels=num_labels)
    cells = layers.Reshape((height * width, channels), name="cells")(feature_map)
    outputs["regions"] = local_embeddings(cells, local_dim, "regions")
    return keras.Model({"feature_map": feature_map, "pooled": pooled}, outputs, name=name)
