"""Batches of pairs as `tf.data`, in an order that depends on the seed and the epoch alone."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from udsph_tf.training.preparation import Inputs

__all__ = ["anchor_batches", "choose_batch_size", "mixed", "pair_batches", "steps_per_epoch"]


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
    image: Inputs,
    text: Inputs,
    labels: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    first_epoch: int,
    mixup: float = 0.0,
) -> tf.data.Dataset:
    """Endless batches `({"image": ..., "text": ...}, labels)`, shuffled anew in each epoch.

    Epoch e's order is drawn from (seed, e), so a run resumed at e goes on as if it never stopped.

    Args:
        image, text: inputs of n training items.
        labels: (n, num_labels).
        batch_size: items of a batch; n where there are fewer.
        seed: seed of the order, and of the shares that items are mixed with.
        first_epoch: the epoch to begin with.
        mixup: a of `mixed`; 0 leaves items as they are.
    """

    def make(indices, rng):
        inputs = {"image": image.batch(indices), "text": text.batch(indices)}
        batch = inputs, labels[indices].astype(np.float32)
        return mixed(batch, mixup, rng) if mixup else batch

    return _endless(make, len(labels), batch_size, seed, first_epoch)


def mixed(batch, mixup: float, rng: np.random.Generator):
    """Item i becomes s x_i + (1 - s) x_j, with a partner j and a share s ~ Beta(a, a) of its own.

    Its picture, its words and its labels are mixed with the same partner and share.

    Args:
        batch: nested arrays of n items, real-valued.
        mixup: a, positive; 1 draws every share as often as every other.
        rng: what shares and partners are drawn from.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, eq. 2.

    Example:
        >>> equal_items = np.array([[2, 4], [2, 4]], np.float32)
        >>> mixed(equal_items, 1.0, np.random.default_rng(0)).round(3).tolist()
        [[2.0, 4.0], [2.0, 4.0]]
    """
    num_items = len(tf.nest.flatten(batch)[0])
    share = rng.beta(mixup, mixup, (num_items, 1)).astype(np.float32)
    partner = rng.permutation(num_items)
    return tf.nest.map_structure(lambda x: share * x + (1 - share) * x[partner], batch)


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

    def make(indices, _rng):
        return anchors[indices]

    return _endless(make, len(anchors), batch_size, seed, first_epoch)


def _endless(
    make: Callable, num_items: int, batch_size: int, seed: int, first_epoch: int
) -> tf.data.Dataset:
    batch_size = min(batch_size, num_items)
    steps = steps_per_epoch(num_items, batch_size)

    def generate() -> Iterator:
        epoch = first_epoch
        while True:
            rng = np.random.default_rng((seed, epoch))
            order = rng.permutation(num_items)
            for step in range(steps):
                yield make(order[step * batch_size : (step + 1) * batch_size], rng)
            epoch += 1

    def spec(array):
        return tf.TensorSpec(array.shape, array.dtype)

    signature = tf.nest.map_structure(spec, make(np.arange(batch_size), np.random.default_rng()))
    batches = tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)
    # There is nothing to tune, and on one core the tuner's thread slept on while `fit` wanted to
    # end: 73 of 245 s of a run.
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)
