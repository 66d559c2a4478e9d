"""Networks and optimizers of a configuration."""

from dataclasses import dataclass

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.networks.encoder import attach_body
from udsph_tf.networks.image_hasher import image_hasher
from udsph_tf.networks.label_net import label_net
from udsph_tf.networks.text_hasher import text_hasher
from udsph_tf.training.schedules import learning_rate_schedule
from udsph_tf.training.udsph import GROUPS, UDSPH

__all__ = [
    "Bodies",
    "build_model",
    "build_optimizers",
    "semantic_anchors",
]


@dataclass(frozen=True)
class Bodies:
    """The two bodies. A trainable one is a part of the model that `fit` trains; of a frozen one
    the model reads cached outputs."""

    image: keras.Model
    text: keras.Model

    def whole_image_hasher(self, hasher: keras.Model) -> keras.Model:
        """From pixels, whatever `hasher` starts from."""
        return hasher if self.image.trainable else attach_body(self.image, hasher, "image_encoder")

    def whole_text_hasher(self, hasher: keras.Model) -> keras.Model:
        """From token ids, whatever `hasher` starts from."""
        return hasher if self.text.trainable else attach_body(self.text, hasher, "text_encoder")


def build_model(
    config: Config, bodies: Bodies, anchors: np.ndarray, anchor_counts: np.ndarray
) -> UDSPH:
    """The model that `fit` trains, not yet compiled."""
    network = config.network
    num_labels = anchors.shape[1]
    sizes = {
        "num_bits": network.num_bits,
        "num_labels": num_labels,
        "hidden_dim": network.hidden_dim,
        "feature_dim": network.feature_dim,
        "local_dim": network.local_dim,
        "dropout": network.dropout,
    }
    seen, read = bodies.image.output, bodies.text.output
    image = image_hasher(seen["feature_map"].shape[1:], seen["pooled"].shape[-1], **sizes)
    text = text_hasher(read["word_map"].shape[1:], read["pooled"].shape[-1], **sizes)
    if bodies.image.trainable:
        image = attach_body(bodies.image, image, "image_encoder")
    if bodies.text.trainable:
        text = attach_body(bodies.text, text, "text_encoder")
    label = label_net(num_labels, num_bits=network.num_bits, feature_dim=network.feature_dim)
    return UDSPH(image, text, label, anchors, anchor_counts, loss=config.loss, name="udsph")


def build_optimizers(config: Config, hasher_steps: int, label_steps: int) -> dict:
    """An optimizer for each group: over both hasher stages, and over the label stage.

    Warm-up is for the hashers and the discriminators, each from its own first step.
    """
    training = config.training
    epochs = training.separate_epochs + training.joint_epochs

    def make(group):
        is_label = group == "label"
        share = training.discriminator_rate if group.endswith("discriminator") else 1.0
        schedule = learning_rate_schedule(
            training.schedule,
            training.learning_rate * share,
            label_steps if is_label else hasher_steps,
            0 if is_label else hasher_steps * training.warmup_epochs // epochs,
        )
        clip = {"global_clipnorm": training.gradient_clip or None}
        if training.optimizer == "adamw":
            decay = training.weight_decay
            optimizer = keras.optimizers.AdamW(schedule, weight_decay=decay, **clip)
        else:
            optimizer = keras.optimizers.Adam(schedule, **clip)
        if training.precision == "mixed_float16":
            return keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    return {group: make(group) for group in GROUPS}


def semantic_anchors(
    labels: np.ndarray, max_anchors: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The different label sets of the training items, with their counts.

    The similarity terms over the U anchors, weighted by counts, are those over all N items.
    Above `max_anchors` they are sampled without replacement with probability p = min(1, count / c),
    c such that the probabilities sum to `max_anchors`. Each kept anchor then stands for
    count / p = max(count, c) items, so that a sum over anchors is an estimate without bias (Horvitz
    and Thompson, J. Am. Stat. Assoc. 47, 1952) of that over all.

    Args:
        labels: (N, num_labels) multi-hot.
        max_anchors: most anchors kept.
        seed: seed of the sample.

    Returns:
        (U, num_labels) float32 and (U,) float32, how many items each anchor stands for.

    Example:
        >>> anchors, counts = semantic_anchors(np.array([[1, 0], [1, 1], [1, 0]]), 10, 0)
        >>> anchors.tolist(), counts.tolist()
        ([[1.0, 0.0], [1.0, 1.0]], [2.0, 1.0])
    """
    anchors, counts = np.unique(np.asarray(labels), axis=0, return_counts=True)
    if len(anchors) > max_anchors:
        threshold = _sampling_threshold(counts, max_anchors)
        kept = _systematic_sample(np.minimum(1.0, counts / threshold), max_anchors, seed)
        anchors, counts = anchors[kept], np.maximum(counts[kept], threshold)
    return anchors.astype(np.float32), counts.astype(np.float32)


def _sampling_threshold(counts: np.ndarray, size: int) -> float:
    """c such that min(1, count / c) sums to `size`, for more counts than that."""
    largest_first = np.sort(counts)[::-1]
    rest = largest_first[::-1].cumsum()[::-1]  # of each count and the smaller ones
    shares = rest[:size] / (size - np.arange(size))
    # The first so many are certain; the rest must not be.
    certain = np.argmax(largest_first[:size] <= shares)
    return float(shares[certain])


def _systematic_sample(probabilities: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions, in order, of a systematic sample of `size`; its `probabilities` sum to that."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(probabilities))
    ends = probabilities[shuffled].cumsum()
    picks = np.searchsorted(ends, rng.random() + np.arange(size), side="right")
    # Rounding may leave the last end a little short of `size`.
    return np.sort(shuffled[np.minimum(picks, len(shuffled) - 1)])
