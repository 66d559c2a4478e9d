"""Loss terms: each a pure function on `keras.ops` and a `keras.losses.Loss`."""

from udsph_tf.losses.adversarial import Adversarial, adversarial, discrimination
from udsph_tf.losses.bit_balance import BitBalance, bit_balance
from udsph_tf.losses.classification import Classification, classification
from udsph_tf.losses.instance_alignment import InstanceAlignment, instance_alignment
from udsph_tf.losses.level_regression import LevelRegression, level_regression
from udsph_tf.losses.local_alignment import LocalAlignment, local_alignment
from udsph_tf.losses.pairwise_likelihood import PairwiseLikelihood, pairwise_likelihood
from udsph_tf.losses.quantization import Quantization, quantization
from udsph_tf.losses.similarity import (
    graded_similarity,
    jaccard_similarity,
    level_weights,
    shares_label,
)

__all__ = [
    "Adversarial",
    "BitBalance",
    "Classification",
    "InstanceAlignment",
    "LevelRegression",
    "LocalAlignment",
    "PairwiseLikelihood",
    "Quantization",
    "adversarial",
    "bit_balance",
    "classification",
    "discrimination",
    "graded_similarity",
    "instance_alignment",
    "jaccard_similarity",
    "level_regression",
    "level_weights",
    "local_alignment",
    "pairwise_likelihood",
    "quantization",
    "shares_label",
]
