"""What a step of fine-tuning costs, by the block it begins with; one table.

python benchmarks/finetune.py --blocks=,block3a,block4a,block5a,block6a,block7a
"""

import math
import shlex
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from udsph_tf.networks import attach_body, cut, efficientnet_lite0, image_hasher
from udsph_tf.networks.cut import freeze_statistics
from udsph_tf.training.run_folder import machine, versions

_BATCH = flags.DEFINE_integer("batch", 64, "pictures a step", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 10.0, "time for each row")
_SIZE = flags.DEFINE_integer("size", 128, "pixels a side")
_BLOCKS = flags.DEFINE_list("blocks", ",block4a,block5a,block6a,block7a", "empty: from pixels")


def main(_):
    print(f"# Cost of fine-tuning\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(
        f"{machine()}, TensorFlow {versions()['tensorflow']}, "
        f"EfficientNet-Lite0 at {_SIZE.value}x{_SIZE.value}, {_BATCH.value} pictures a step, "
        "processor time of one core.\n"
    )
    print(
        "| from | weights | kB cached an item | s a 1,000 pictures | same, depthwise kernels too |"
        "\n|---|---|---|---|---|"
    )
    for block in _BLOCKS.value:
        body = efficientnet_lite0((_SIZE.value, _SIZE.value, 3))
        freeze_statistics(body)
        part = cut(body, block)[1] if block else body
        weights = sum(math.prod(each.shape) for each in part.trainable_variables)
        kilobytes = math.prod(part.input.shape[1:]) * (2 if block else 1) / 1000
        fixed = _seconds(part)
        for layer in body.layers:
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                layer.trainable = True
        print(
            f"| {block or 'pixels'} | {weights / 1e6:.2f} M | {kilobytes:.0f} | {fixed:.1f} | "
            f"{_seconds(part):.1f} |",
            flush=True,
        )


def _seconds(part):
    """Processor seconds for a thousand pictures: forward, backward, update."""
    shapes = {name: each.shape[1:] for name, each in part.output.items()}
    head = image_hasher(shapes["feature_map"], shapes["pooled"][0], num_bits=64, num_labels=80)
    hasher = attach_body(part, head, "hasher")
    variables = hasher.trainable_variables
    optimizer = keras.optimizers.Adam(1e-5, global_clipnorm=5.0)
    optimizer.build(variables)
    rng = np.random.default_rng(0)
    shape = (_BATCH.value, *part.input.shape[1:])
    inputs = tf.constant(rng.integers(0, 256, shape).astype(part.input.dtype))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = hasher(inputs, training=True)
            names = ("hash", "label_logits", "regions")
            loss = sum(tf.reduce_mean(outputs[name] ** 2) for name in names)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    step().numpy()
    steps, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < _SECONDS.value:
        step().numpy()
        steps += 1
    return (time.process_time() - used) / steps / _BATCH.value * 1000


if __name__ == "__main__":
    app.run(main)
