"""Hash logits and packed codes of many items through a hasher."""

import keras
import numpy as np
import tensorflow as tf

from udsph_tf.codes import binarize, pack
from udsph_tf.networks.encoder import hash_writer
from udsph_tf.training.preparation import Inputs

__all__ = ["Coder"]

_BATCH = 512


class Coder:
    """Writes codes with the weights that a hasher has at the time of the call."""

    def __init__(self, hasher: keras.Model):
        writer = hash_writer(hasher, f"{hasher.name}_logits")
        # Bodies of pixels are large inside; small batches keep them in memory.
        self._batch = 64 if len(writer.inputs) == 1 and len(writer.inputs[0].shape) == 4 else _BATCH
        signature = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), writer.input
        )
        # Any number of rows is one graph: the last batch is a smaller one.
        self._write = tf.function(
            lambda inputs: writer(inputs, training=False), input_signature=[signature]
        )

    def packed(self, inputs: Inputs) -> np.ndarray:
        """(n, num_bits / 8) uint8 of all items of `inputs`.

        Raises:
            ValueError: the hasher writes NaN.
        """
        return pack(binarize(self.logits(inputs)))

    def logits(self, inputs: Inputs) -> np.ndarray:
        """(n, num_bits) float32 `hash_logits` of all items of `inputs`."""
        parts = []
        for start in range(0, len(inputs), self._batch):
            batch = inputs.batch(np.arange(start, min(start + self._batch, len(inputs))))
            if len(batch) == 1:
                (batch,) = batch.values()
            parts.append(self._write(tf.nest.map_structure(tf.constant, batch)).numpy())
        return np.concatenate(parts)
