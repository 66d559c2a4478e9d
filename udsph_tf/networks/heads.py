"""What the two hashers and the label net share: features, a hash head and a label head."""

from keras import layers

from udsph_tf.networks.layers import Standardize

__all__ = ["hash_and_label_heads", "local_embeddings", "pooled_trunk"]


def pooled_trunk(pooled, *, hidden_dim: int, feature_dim: int, dropout: float):
    """High-level features of a pooled vector: normalise, widen, project.

    The layer `pooled_standard` leaves the vector as it is until it is adapted to training items.

    Args:
        pooled: (n, dim) Keras tensor.
        hidden_dim, feature_dim: widths of the hidden layer and of the features.
        dropout: rate between the two, in [0, 1).

    Returns:
        (n, feature_dim) Keras tensor.
    """
    x = Standardize(name="pooled_standard")(pooled)
    x = layers.LayerNormalization(name="pooled_norm")(x)
    x = layers.Dense(hidden_dim, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="hidden_dropout")(x)
    return layers.Dense(feature_dim, name="features")(x)


def hash_and_label_heads(features, *, num_bits: int, num_labels: int) -> dict:
    """`hash_input`, `hash_logits`, `hash` = tanh(hash_logits) and `label_logits` of features.

    The hash head reads `hash_input`: tanh(features) and, beside it, sigmoid(label_logits). What
    labels an item may have is linear there, so that a code can lie between the codes of the labels
    in doubt.
    """
    x = layers.Activation("tanh", name="features_tanh")(features)
    label_logits = layers.Dense(num_labels, name="label_logits")(x)
    posterior = layers.Activation("sigmoid", name="label_posterior")(label_logits)
    both = layers.Concatenate(name="hash_input")([x, posterior])
    hash_logits = layers.Dense(num_bits, name="hash_logits")(both)
    return {
        "features": features,
        "hash_input": both,
        "hash_logits": hash_logits,
        "hash": layers.Activation("tanh", name="hash")(hash_logits),
        "label_logits": label_logits,
    }


def local_embeddings(local, local_dim: int, name: str):
    """Unit-length projections of local embeddings, (n, steps, dim) -> (n, steps, local_dim)."""
    x = layers.Dense(local_dim, name=f"{name}_projection")(local)
    return layers.UnitNormalization(axis=-1, name=name)(x)
