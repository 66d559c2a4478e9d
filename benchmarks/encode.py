"""Images a second through the EfficientNet-Lite0 body: Keras, tf.function, LiteRT; one table.

python benchmarks/encode.py > docs/results/encode.md
"""

import shlex
import sys
import time

import numpy as np
import tensorflow as tf
from absl import app, flags

from udsph_tf.litert import LiteRTModel, convert_model, num_cores
from udsph_tf.networks import efficientnet_lite0
from udsph_tf.training.run_folder import machine, versions

_IMAGES = flags.DEFINE_integer("images", 512, "pictures a round", lower_bound=64)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds, interleaved; the best one counts")
_SIZE = flags.DEFINE_integer("size", 128, "pixels a side")


def main(_):
    body = efficientnet_lite0((_SIZE.value, _SIZE.value, 3))
    body.trainable = False
    pixels = np.random.default_rng(0).integers(
        0, 256, (_IMAGES.value, _SIZE.value, _SIZE.value, 3), dtype=np.uint8
    )
    call = tf.function(lambda batch: body(batch, training=False))
    file = convert_model(body)
    ways = {
        "Keras predict, batch 64": lambda: body.predict(pixels, batch_size=64, verbose=0),
        "tf.function, batch 64": lambda: [
            call(tf.constant(pixels[start : start + 64])) for start in range(0, len(pixels), 64)
        ],
    }
    for workers in dict.fromkeys((1, num_cores())):
        model = LiteRTModel(file, workers=workers)
        ways[f"LiteRT float32, {workers} interpreter(s), batch 8"] = lambda m=model: m.run(pixels)
    best = dict.fromkeys(ways, float("inf"))
    for _round in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if _round:  # the first round traces and warms up
                best[name] = min(best[name], time.perf_counter() - start)
    slowest = best["Keras predict, batch 64"]
    print(f"# Encoding rate\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(
        f"{machine()}, TensorFlow {versions()['tensorflow']}, "
        f"EfficientNet-Lite0 at {_SIZE.value}x{_SIZE.value}, best of {_ROUNDS.value} rounds.\n"
    )
    print("| way | images/s | ratio |\n|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {_IMAGES.value / seconds:.0f} | {slowest / seconds:.2f} |")


if __name__ == "__main__":
    app.run(main)
