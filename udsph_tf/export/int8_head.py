"""A head that writes its codes again over a body that computes in 8 bits."""

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from udsph_tf.export.quantization import quantize
from udsph_tf.litert import LiteRTModel, convert_model
from udsph_tf.networks.layers import Standardize

__all__ = ["HEADS", "check_head", "int8_head"]

HEADS = ("plain", "corrected", "tuned")
"""plain: as it was trained. corrected: its standardisation is that of the 8-bit body's numbers.
tuned: corrected, then fine-tuned with 8-bit weights to the hashes of the float encoder."""

_STANDARD = "pooled_standard"
_EPOCHS, _BATCH, _RATE = 20, 64, 1e-4


def check_head(head: str) -> None:
    """Raise where `head` is not one of `HEADS`.

    Raises:
        ValueError: it is not.
    """
    if head not in HEADS:
        raise ValueError(f"`int8_head` must be one of {HEADS}. Received: int8_head={head!r}")


@contextlib.contextmanager
def int8_head(
    encoder: keras.Model, calibration: np.ndarray, pixels: np.ndarray, head: str
) -> Iterator[None]:
    """Within the block the encoder's head is made for an 8-bit body; then it is set back.

    Args:
        encoder: the image encoder, from pixels.
        calibration: (m, size, size, 3) uint8, pictures that ranges are measured on.
        pixels: (n, size, size, 3) uint8 of training items that the head is changed by.
        head: one of `HEADS`.
    """
    *parts, hasher = (each for each in encoder.layers if isinstance(each, keras.Model))
    before = hasher.get_weights()
    try:
        if head != "plain":
            outputs = encoder.input
            for part in parts:
                outputs = part(outputs)
            body = convert_model(keras.Model(encoder.input, {"pooled": outputs["pooled"]}))
            plain, rounded = (
                LiteRTModel(content).run(pixels)["pooled"]
                for content in (body, quantize(body, calibration))
            )
            logits = keras.Model(hasher.input["pooled"], hasher.output["hash_logits"])
            wanted = np.tanh(logits.predict(plain, verbose=0))
            _correct(hasher.get_layer(_STANDARD), plain, rounded)
            if head == "tuned":
                _tune(logits, rounded, wanted)
        yield
    finally:
        hasher.set_weights(before)


def _correct(layer: Standardize, plain: np.ndarray, rounded: np.ndarray) -> None:
    """Let the layer give of `rounded` numbers what it gave of `plain` ones.

    Rounding shifts the mean and changes the deviation of each pooled number a little.
    """
    plain, rounded = plain.astype(np.float64), rounded.astype(np.float64)
    spread, wanted = rounded.std(axis=0), plain.std(axis=0)
    # Of a number that hardly varies in so few pictures, the ratio would be noise.
    ratio = np.where(spread > 1e-3 * spread.max(), wanted / np.maximum(spread, 1e-12), 1.0)
    ratio = np.clip(ratio, 0.8, 1.25)
    # (x - m) s of the plain x, which is about mean + (x' - mean') ratio of the rounded x'.
    layer.mean.assign(rounded.mean(axis=0) - (plain.mean(axis=0) - layer.mean.numpy()) / ratio)
    layer.scale.assign(layer.scale.numpy() * ratio)


def _tune(logits: keras.Model, rounded: np.ndarray, wanted: np.ndarray) -> None:
    """Quantization-aware fine-tuning: lessen mean (tanh(logits) - wanted)^2 over 8-bit numbers.

    In every step kernels are rounded to 8 bits by channel, as the file will store them, while the
    gradient moves the numbers behind them.
    """
    variables = logits.trainable_variables
    steps = _EPOCHS * math.ceil(len(rounded) / _BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps))
    optimizer.build(variables)
    fixed = logits.non_trainable_variables

    @tf.function
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            weights = [_rounded(each.value) for each in variables]
            outputs, _ = logits.stateless_call(weights, fixed, inputs, training=False)
            loss = tf.reduce_mean(tf.square(tf.tanh(outputs) - targets))
        optimizer.apply(tape.gradient(loss, [each.value for each in variables]), variables)

    batches = tf.data.Dataset.from_tensor_slices((rounded, wanted))
    for batch in batches.shuffle(len(rounded), seed=0).batch(_BATCH).repeat(_EPOCHS):
        step(*batch)


def _rounded(weight: tf.Tensor) -> tf.Tensor:
    """A kernel as 8-bit numbers with one scale a channel; anything else as it is."""
    if weight.shape.rank != 2:
        return weight
    largest = tf.reduce_max(tf.abs(tf.stop_gradient(weight)), axis=0)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        weight, -largest, largest, narrow_range=True
    )
