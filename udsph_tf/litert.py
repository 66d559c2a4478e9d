"""Run TFLite files: on a CPU, LiteRT is the fast way to run an encoder.

One single-threaded interpreter a core, each with its share of a batch, is several times the rate
of Keras' `predict` (docs/results has the numbers); more threads inside one interpreter are slower.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

__all__ = ["SIGNATURE", "LiteRTModel", "convert", "convert_model", "num_cores"]

SIGNATURE = "serving_default"


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def convert(
    function: Callable,
    input_spec: tf.TensorSpec,
    tracked: Sequence,
    *,
    dynamic_range: bool = False,
    custom_ops: bool = False,
) -> bytes:
    """A function of one tensor as a TFLite file with the signature `serving_default`.

    Only built-in operations are allowed, so that one which a device lacks fails here.

    Args:
        function: from a tensor to a dict of tensors.
        input_spec: its shape, dtype and name.
        tracked: the Keras models it calls. (A file converted from an untracked model silently
            loses its weights.)
        dynamic_range: store weights in 8 bits.
        custom_ops: allow operations that the runtime registers, such as tensorflow-text's.
    """
    archive = keras.export.ExportArchive()
    for model in tracked:
        archive.track(model)
    archive.add_endpoint(name=SIGNATURE, fn=function, input_signature=[input_spec])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = custom_ops
        if dynamic_range:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()


def convert_model(model: keras.Model, *, dynamic_range: bool = False) -> bytes:
    """`convert` for a functional model with one input tensor and a dict of outputs."""
    (tensor,) = model.inputs
    spec = tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
    return convert(
        lambda inputs: model(inputs, training=False), spec, [model], dynamic_range=dynamic_range
    )


class LiteRTModel:
    """A TFLite file with one input, run over any number of rows on every core.

    Args:
        content: the file's bytes.
        batch_size: rows that an interpreter is given at once.
        custom_ops: registerers of custom operations (tensorflow-text's, for texts).
        workers: number of interpreters; one a core by default.
    """

    def __init__(
        self, content: bytes, batch_size: int = 8, custom_ops: Sequence = (), workers: int = 0
    ):
        from ai_edge_litert import interpreter

        workers = workers or num_cores()
        make, options = interpreter.Interpreter, {}
        if custom_ops:
            make = interpreter.InterpreterWithCustomOps
            options["custom_op_registerers"] = list(custom_ops)
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(workers)
        self._interpreters = [
            make(model_content=content, num_threads=1, **options) for _ in range(workers)
        ]
        self._runners = [each.get_signature_runner(SIGNATURE) for each in self._interpreters]
        (self._input,) = self._runners[0].get_input_details()

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs of all rows, in order.

        Args:
            rows: (n, ...) of the input's dtype; n >= 1.
        """
        starts = range(0, len(rows), self._batch_size)
        batches = [rows[start : start + self._batch_size] for start in starts]
        shares = np.array_split(np.arange(len(batches)), len(self._runners))

        def work(runner, share):
            # Copied, since an interpreter reuses its output buffers.
            return [
                {name: value.copy() for name, value in runner(**{self._input: batches[i]}).items()}
                for i in share
            ]

        parts = [part for done in self._pool.map(work, self._runners, shares) for part in done]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
