"""Batches of pairs as `tf.data`, in an order that depends on the seed and the epoch alone."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from udsph_tf.training.preparation import Inputs

__all__ = ["anchor_batches", "choose_batch_size", "pair_batches", "steps_per_epoch"]


def choose_batch_size(wanted: int, num_items: int) -> int:
    """`wanted`, or for 0 the power of two that makes about forty steps, within [64, 256].

    Example:
        >>> [choose_batch_size(0, n) for n in (100, 1500, 5000, 10000)], choose_batch_size(32, 9)
        ([64, 64, 128, 256], 32)
    """
    if wanted:
        return wanted
    return min(256, max(64, 2 ** round(math.log2(max(1, num_items) / 40))))


def steps_per_epoch(num_items: int, batch_size: int) -> int:
    """Whole batches of an epoch; the remainder is another one in each epoch."""
    return max(1, num_items // batch_size)


def pair_batches(
    image: Inputs, text: Inputs, labels: np.ndarray, *, batch_size: int, seed: int, first_epoch: int
) -> tf.data.Dataset:
    """Endless batches `({"image": ..., "text": ...}, labels)`, shuffled anew in each epoch.

    Epoch e's order is drawn from (seed, e), so a run resumed at e goes on as if it never stopped.

    Args:
        image, text: inputs of n training items.
        labels: (n, num_labels).
        batch_size: items of a batch; n where there are fewer.
        seed: seed of the order.
        first_epoch: the epoch to begin with.
    """

    def make(indices):
        inputs = {"image": image.batch(indices), "text": text.batch(indices)}
        return inputs, labels[indices].astype(np.float32)

    return _endless(make, len(labels), batch_size, seed, first_epoch)


def anchor_batches(
    anchors: np.ndarray, *, batch_size: int, seed: int, first_epoch: int, steps: int
) -> tf.data.Dataset:
    """Endless batches of label sets, every anchor as often as every other.

    Args:
        anchors: (U, num_labels).
        batch_size: label sets of a batch; they repeat where there are fewer.
        seed: seed of the order.
        first_epoch: the epoch to begin with.
        steps: batches of an epoch.
    """
    repeats = -(-steps * batch_size // len(anchors))
    anchors = np.tile(anchors.astype(np.float32), (repeats, 1))
    return _endless(lambda indices: anchors[indices], len(anchors), batch_size, seed, first_epoch)


def _endless(
    make: Callable, num_items: int, batch_size: int, seed: int, first_epoch: int
) -> tf.data.Dataset:
    batch_size = min(batch_size, num_items)
    steps = steps_per_epoch(num_items, batch_size)

    def generate() -> Iterator:
        epoch = first_epoch
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(num_items)
            for step in range(steps):
                yield make(order[step * batch_size : (step + 1) * batch_size])
            epoch += 1

    def spec(array):
        return tf.TensorSpec(array.shape, array.dtype)

    signature = tf.nest.map_structure(spec, make(np.arange(batch_size)))
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)
