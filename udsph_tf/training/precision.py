"""Half precision inside training steps: weights, losses and everything saved stay float32."""

import keras
import tensorflow as tf
from keras import ops

from udsph_tf.networks.layers import Standardize

__all__ = ["InHalf", "dense_if_scaled", "scale_gradient", "widen"]

# Pixels and unit lengths lose too much in half precision; the heads feed the losses.
_WHOLE_LAYERS = (
    keras.layers.InputLayer,
    keras.layers.Rescaling,
    keras.layers.RandomFlip,
    keras.layers.RandomTranslation,
    keras.layers.RandomRotation,
    keras.layers.RandomZoom,
    keras.layers.UnitNormalization,
    Standardize,
)
_HEADS = ("hash_logits", "hash", "label_logits")


class InHalf:
    """A context in which the layers of some models compute in half precision.

    Outside it they are what they were, so that a model validates, saves and exports as float32
    while it is trained. Variables are float32 throughout. Heads, preprocessing and unit lengths
    stay in float32 inside it too.

    Args:
        models: functional models.
        precision: `"float32"` (nothing changes), `"mixed_bfloat16"` or `"mixed_float16"`.
    """

    def __init__(self, models: list, precision: str):
        self._policy = keras.dtype_policies.get(precision)
        self._entered = 0
        self._layers = []
        if precision != "float32":
            self._layers = [
                (layer, layer.dtype_policy)
                for model in models
                for layer in model._flatten_layers()
                if not isinstance(layer, (keras.Model, *_WHOLE_LAYERS)) and layer.name not in _HEADS
            ]

    def __enter__(self):
        # Replicas take turns inside: the first to enter switches, the last to leave restores.
        self._entered += 1
        if self._entered == 1:
            for layer, _ in self._layers:
                layer.dtype_policy = self._policy

    def __exit__(self, *exception):
        self._entered -= 1
        if not self._entered:
            for layer, policy in self._layers:
                layer.dtype_policy = policy


def widen(outputs: dict) -> dict:
    """The same outputs in float32."""
    return {name: ops.cast(value, "float32") for name, value in outputs.items()}


def dense_if_scaled(gradients: list, optimizer) -> list:
    """The same gradients, none of them sparse where `optimizer` scales losses.

    Such an optimizer skips a step whose gradient is not finite, and overlooks an infinity in a row
    that occurs twice in a sparse gradient (Keras 3.15).
    """
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return gradients
    return [
        tf.math.unsorted_segment_sum(each.values, each.indices, each.dense_shape[0])
        if isinstance(each, tf.IndexedSlices)
        else each
        for each in gradients
    ]


def scale_gradient(outputs: dict, optimizer) -> dict:
    """The same outputs; their gradient is scaled as `optimizer` scales a loss.

    It is what scaling the loss does, for one optimizer of several that share it: each of them may
    have a scale of its own.
    """
    scale = optimizer.scale_loss(1.0)
    if isinstance(scale, float) and scale == 1.0:
        return outputs

    @tf.custom_gradient
    def scaled(value):
        return tf.identity(value), lambda gradient: gradient * scale

    return {name: scaled(value) for name, value in outputs.items()}
