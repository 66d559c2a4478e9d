"""The text hasher: outputs of a text body to features, hash, label logits and words."""

import keras
from keras import layers

from udsph_tf.codes import check_num_bits
from udsph_tf.networks.heads import hash_and_label_heads, local_embeddings, pooled_trunk

__all__ = ["text_hasher"]


def text_hasher(
    word_map_shape: tuple[int, int],
    pooled_dim: int,
    *,
    num_bits: int,
    num_labels: int,
    hidden_dim: int = 1024,
    feature_dim: int = 512,
    local_dim: int = 128,
    dropout: float = 0.4,
    name: str = "text_hasher",
) -> keras.Model:
    """A functional model on top of a text body (or of its cached outputs).

    Args:
        word_map_shape: (num_words, channels) of the body's word map.
        pooled_dim: length of the body's pooled vector.
        num_bits: K, a positive multiple of 8.
        num_labels: C.
        hidden_dim, feature_dim, local_dim: widths.
        dropout: rate in [0, 1).
        name: the model's name.

    Returns:
        A model from `{"word_map", "word_mask", "pooled"}` to a dict with `features`,
        `hash_logits`, `hash`, `label_logits` as the image hasher's, `words` (n, num_words,
        local_dim), unit length, and `word_mask` (n, num_words), 1 for a word and 0 for padding.

    Raises:
        ValueError: `num_bits` is not a positive multiple of 8.
    """
    check_num_bits(num_bits)
    # Layers
    word_map = keras.Input(word_map_shape, name="word_map")
    word_mask = keras.Input((word_map_shape[0],), name="word_mask")
    pooled = keras.Input((pooled_dim,), name="pooled")
    # Functional model
    features = pooled_trunk(pooled, hidden_dim=hidden_dim, feature_dim=feature_dim, dropout=dropout)
    outputs = hash_and_label_heads(features, num_bits=num_bits, num_labels=num_labels)
    outputs["words"] = local_embeddings(word_map, local_dim, "words")
    outputs["word_mask"] = layers.Identity(name="word_mask_out")(word_mask)
    inputs = {"word_map": word_map, "word_mask": word_mask, "pooled": pooled}
    return keras.Model(inputs, outputs, name=name)
