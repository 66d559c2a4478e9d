"""Run one SavedModel in a process of its own; started by path, so that `udsph_tf` stays out.

Usage: python probe.py <SavedModel> <inputs.npz> <outputs.npz>
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's operations)

_BATCH = 64


def main(saved_model: str, inputs: str, outputs: str) -> None:
    # The script's own folder is on the path; udsph_tf is installed, but nothing may import it.
    loaded = tf.saved_model.load(saved_model)
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    with np.load(inputs) as file:
        offsets, data = file["offsets"], file["data"].tobytes()
    items = [data[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    parts = [
        signature(**{name: tf.constant(items[start : start + _BATCH])})
        for start in range(0, len(items), _BATCH)
    ]
    if "udsph_tf" in sys.modules:
        raise RuntimeError("udsph_tf was imported; the SavedModel must stand without it")
    np.savez(outputs, **{k: np.concatenate([p[k].numpy() for p in parts]) for k in parts[0]})


if __name__ == "__main__":
    main(*sys.argv[1:])
