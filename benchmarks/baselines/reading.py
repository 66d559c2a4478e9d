"""What the plain methods read: the pooled image features and a bag of the training words."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from udsph_tf.training.material import Material

__all__ = ["bag_of_words", "image_features", "standardised", "unit_length"]

_WORD = re.compile(r"[a-z0-9]+")


def image_features(material: Material) -> np.ndarray:
    """(n, 1280) float32, pooled outputs of the frozen image body."""
    return np.asarray(material.image.arrays["pooled"][material.image.rows], dtype=np.float32)


def bag_of_words(texts: Sequence[str], train: np.ndarray, size: int = 1500) -> np.ndarray:
    """(n, size) float32 of 0 and 1: which of the most frequent training words a text has.

    Example:
        >>> bag_of_words(["Red shoes", "red hat", "Blue hat"], np.array([0, 1]), 2).tolist()
        [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    words = [set(_WORD.findall(text.lower())) for text in texts]
    counted = Counter(word for row in train for word in words[row])
    # By count, then by the alphabet: never by the order of a set.
    kept = sorted(counted, key=lambda word: (-counted[word], word))[:size]
    column = {word: place for place, word in enumerate(kept)}
    bag = np.zeros((len(texts), len(kept)), dtype=np.float32)
    for row, found in enumerate(words):
        bag[row, [column[word] for word in found if word in column]] = 1
    return bag


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and, where it varies at all, deviation 1 over the training items."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    return (features - mean) / np.where(deviation > 0, deviation, 1)


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
