"""Outputs of many items through a hasher: hash logits, packed codes, what its hash head reads."""

import keras
import numpy as np
import tensorflow as tf

from udsph_tf.codes import binarize, pack
from udsph_tf.networks.encoder import hash_writer, head_reader
from udsph_tf.training.preparation import Inputs

__all__ = ["Coder", "head_inputs"]

_BATCH = 512


class Coder:
    """Writes codes with the weights that a hasher has at the time of the call."""

    def __init__(self, hasher: keras.Model):
        self._write = _Reader(hash_writer(hasher, f"{hasher.name}_logits"))

    def packed(self, inputs: Inputs) -> np.ndarray:
        """(n, num_bits / 8) uint8 of all items of `inputs`.

        Raises:
            ValueError: the hasher writes NaN.
        """
        return pack(binarize(self.logits(inputs)))

    def logits(self, inputs: Inputs) -> np.ndarray:
        """(n, num_bits) float32 `hash_logits` of all items of `inputs`."""
        return self._write(inputs)


def head_inputs(hasher: keras.Model, inputs: Inputs) -> Inputs:
    """What the hash head reads of all items of `inputs`: `hash_input`, in memory."""
    vectors = _Reader(head_reader(hasher, f"{hasher.name}_head_reader"))(inputs)
    return Inputs({"hash_input": vectors}, np.arange(len(vectors)))


class _Reader:
    """A model of one output, run over items batch by batch, without dropout."""

    def __init__(self, model: keras.Model):
        # Bodies of pixels are large inside; small batches keep them in memory.
        self._batch = 64 if len(model.inputs) == 1 and len(model.inputs[0].shape) == 4 else _BATCH
        signature = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), model.input
        )
        # Any number of rows is one graph: the last batch is a smaller one.
        self._run = tf.function(
            lambda inputs: model(inputs, training=False), input_signature=[signature]
        )

    def __call__(self, inputs: Inputs) -> np.ndarray:
        parts = []
        for start in range(0, len(inputs), self._batch):
            batch = inputs.batch(np.arange(start, min(start + self._batch, len(inputs))))
            if len(batch) == 1:
                (batch,) = batch.values()
            parts.append(self._run(tf.nest.map_structure(tf.constant, batch)).numpy())
        return np.concatenate(parts)
