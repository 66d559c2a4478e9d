"""Small layers that the hashers are made of."""

import keras
import numpy as np
from keras import ops

from udsph_tf.codes import BIT_WEIGHTS, check_num_bits

__all__ = ["Hellinger", "MaskedMean", "NotEqual", "PackBits", "Standardize", "WordDropout"]


@keras.saving.register_keras_serializable(package="udsph_tf")
class PackBits(keras.layers.Layer):
    """Pack `hash_logits` into bytes: bit k is 1 where logit k >= 0, first bit most significant.

    Input (n, num_bits) float; output (n, num_bits / 8) uint8, equal to
    `codes.pack(codes.binarize(hash_logits))`.
    """

    def build(self, input_shape):
        check_num_bits(input_shape[-1])

    def call(self, hash_logits):
        bits = ops.cast(hash_logits >= 0, "int32")
        bits = ops.reshape(bits, (-1, hash_logits.shape[-1] // 8, 8))
        # Summed in int32: a uint8 product converts to TFLite and then fails to load there.
        return ops.cast(ops.sum(bits * ops.array(BIT_WEIGHTS, "int32"), axis=-1), "uint8")

    def compute_output_spec(self, hash_logits):
        return keras.KerasTensor((hash_logits.shape[0], hash_logits.shape[-1] // 8), "uint8")


@keras.saving.register_keras_serializable(package="udsph_tf")
class NotEqual(keras.layers.Layer):
    """1.0 where the input differs from `value`, else 0.0: the mask of padded token ids."""

    def __init__(self, value: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def call(self, inputs):
        return ops.cast(ops.not_equal(inputs, self.value), "float32")

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable(package="udsph_tf")
class MaskedMean(keras.layers.Layer):
    """Mean over the unmasked steps, sum_t m_t x_t / max(1, sum_t m_t); zero where all are masked.

    Inputs (n, steps, dim) and a mask (n, steps) of 0 and 1; output (n, dim).
    """

    def call(self, inputs, step_mask):
        mask = ops.expand_dims(ops.cast(step_mask, inputs.dtype), -1)
        return ops.sum(inputs * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)

    def compute_output_spec(self, inputs, step_mask):
        return keras.KerasTensor((inputs.shape[0], inputs.shape[-1]), inputs.dtype)


@keras.saving.register_keras_serializable(package="udsph_tf")
class WordDropout(keras.layers.Layer):
    """In training, hide each token id with probability `rate` by making it padding (0).

    Args:
        rate: in [0, 1).
        seed: seed of the draw.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, token_ids, training=False):
        if not training or self.rate == 0:
            return token_ids
        shape = ops.shape(token_ids)
        kept = keras.random.uniform(shape, seed=self.seed_generator) >= self.rate
        return token_ids * ops.cast(kept, token_ids.dtype)

    def compute_output_spec(self, token_ids, training=False):
        return keras.KerasTensor(token_ids.shape, token_ids.dtype)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="udsph_tf")
class Hellinger(keras.layers.Layer):
    """Square roots of shares, sqrt(x_k / sum_j x_j): counts whose large values weigh less.

    Input (n, dim) float, where negative numbers count as 0; output (n, dim), of unit length, and
    zero where all of x is.

    Source: Arandjelovic and Zisserman, CVPR 2012 (RootSIFT).
    """

    def call(self, counts):
        counts = ops.maximum(counts, 0.0)
        return ops.sqrt(counts / ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1e-12))

    def compute_output_spec(self, counts):
        return keras.KerasTensor(counts.shape, counts.dtype)


@keras.saving.register_keras_serializable(package="udsph_tf")
class Standardize(keras.layers.Layer):
    """(x - mean) * scale with fixed weights: scale is 1 over the deviation of what was adapted to.

    A dimension that was constant there becomes 0 for every input, since nothing is known of it.
    `keras.layers.Normalization` would blow its smallest change up instead.

    Input and output (n, dim) float.
    """

    def build(self, input_shape):
        shape, frozen = (input_shape[-1],), {"trainable": False}
        self.mean = self.add_weight(shape=shape, initializer="zeros", name="mean", **frozen)
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale", **frozen)

    def adapt(self, vectors) -> None:
        """Take mean and deviation of `vectors` (n, dim)."""
        vectors = np.asarray(vectors, dtype="float64")
        mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
        # What rounding alone makes of a constant.
        varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)
        self.mean.assign(mean)
        self.scale.assign(np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0))

    def call(self, inputs):
        return (inputs - self.mean) * self.scale

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)
