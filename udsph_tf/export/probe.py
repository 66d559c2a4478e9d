"""Run SavedModels in a process of their own; started by path, so that `udsph_tf` stays out.

Usage: python probe.py (<SavedModel> <inputs.npz> <outputs.npz>)...

Each is run through both loaders: `tf.saved_model.load`, and the one of TensorFlow 1, whose C++ is
what TensorFlow Serving uses (outputs `session_...`).
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's operations)

_BATCH = 64
_SIGNATURE = "serving_default"


def main(saved_model: str, inputs: str, outputs: str) -> None:
    # The script's own folder is on the path; udsph_tf is installed, but nothing may import it.
    with np.load(inputs) as file:
        offsets, data = file["offsets"], file["data"].tobytes()
    items = [data[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    found = {**_by_object(saved_model, batches), **_by_session(saved_model, batches)}
    if "udsph_tf" in sys.modules:
        raise RuntimeError("udsph_tf was imported; the SavedModel must stand without it")
    np.savez(outputs, **found)


def _by_object(saved_model, batches):
    # The loaded object must outlive its signature.
    loaded = tf.saved_model.load(saved_model)
    signature = loaded.signatures[_SIGNATURE]
    (name,) = signature.structured_input_signature[1]
    parts = [signature(**{name: tf.constant(batch)}) for batch in batches]
    return {k: np.concatenate([p[k].numpy() for p in parts]) for k in parts[0]}


def _by_session(saved_model, batches):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], saved_model)
        signature = graph.signature_def[_SIGNATURE]
        (given,) = signature.inputs.values()
        wanted = {name: tensor.name for name, tensor in signature.outputs.items()}
        parts = [session.run(wanted, {given.name: batch}) for batch in batches]
    return {f"session_{k}": np.concatenate([p[k] for p in parts]) for k in parts[0]}


if __name__ == "__main__":
    for first in range(1, len(sys.argv), 3):
        main(*sys.argv[first : first + 3])
