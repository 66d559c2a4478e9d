"""Run TFLite files: on a CPU, LiteRT is the fast way to run an encoder.

One single-threaded interpreter a core, each with its share of the rows, encoded at 2.25 times the
rate of Keras' `predict` on two cores (docs/results/encode.md).
"""

import os
import queue
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

__all__ = [
    "SIGNATURE",
    "LiteRTModel",
    "convert_model",
    "convert_model_variants",
    "convert_variants",
    "num_cores",
    "write_saved_model",
]

SIGNATURE = "serving_default"


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def write_saved_model(archive: keras.export.ExportArchive, folder: str | os.PathLike) -> None:
    """Write an archive as a SavedModel.

    Args:
        archive: its endpoints are added already.
        folder: the folder to make.

    Raises:
        OSError: it cannot be written.
    """
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        # TensorFlow has no kind of its own for a full disk: what happened is the message's end.
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]
        raise OSError(f"The SavedModel cannot be written: {reason}") from error


def convert_variants(
    function: Callable,
    input_spec: tf.TensorSpec,
    variants: Sequence[str],
    *,
    custom_ops: bool = False,
) -> dict[str, bytes]:
    """A function of one tensor as TFLite files with the signature `serving_default`.

    A file for each way to store weights; the function is traced once for all. Only built-in
    operations are allowed, so that one which a device lacks fails here.

    Args:
        function: from a tensor to a dict of tensors.
        input_spec: its shape, dtype and name.
        variants: how weights are stored: `"float32"`, `"float16"` or `"dynamic"`: 8 bits, while
            what passes between operations stays float.
        custom_ops: allow operations that the runtime registers, such as tensorflow-text's.

    Raises:
        ValueError: one of `variants` is unknown.
    """
    for weights in variants:
        if weights not in ("float32", "float16", "dynamic"):
            raise ValueError(
                "`weights` must be 'float32', 'float16' or 'dynamic'. "
                f"Received: weights={weights!r}"
            )
    # The archive finds the variables that the function uses. Converted from a bare tf.Module,
    # a file would lose its weights without an error.
    archive = keras.export.ExportArchive()
    archive.add_endpoint(name=SIGNATURE, fn=function, input_signature=[input_spec])
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(archive, folder)
        return {weights: _convert(folder, weights, custom_ops) for weights in variants}


def convert_model(model: keras.Model, *, weights: str = "float32") -> bytes:
    """`convert_model_variants` for one way to store weights."""
    return convert_model_variants(model, (weights,))[weights]


def convert_model_variants(model: keras.Model, variants: Sequence[str]) -> dict[str, bytes]:
    """`convert_variants` for a functional model with one input tensor and a dict of outputs."""
    (tensor,) = model.inputs
    spec = tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
    return convert_variants(lambda inputs: model(inputs, training=False), spec, variants)


def _convert(folder: str, weights: str, custom_ops: bool) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.allow_custom_ops = custom_ops
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


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
        # A batch borrows a runner, so that callers in several threads never share one.
        self._runners = queue.SimpleQueue()
        for each in self._interpreters:
            runner = each.get_signature_runner(SIGNATURE)
            self._runners.put(runner)
        (self._input,) = runner.get_input_details()
        self.signature: dict[str, dict] = {
            "inputs": _described(runner.get_input_details()),
            "outputs": _described(runner.get_output_details()),
        }
        """Names of the inputs and outputs, each with its dtype and shape; -1 for any length."""

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs of all rows, in order; may be called from several threads.

        Args:
            rows: (n, ...) of the input's dtype; n >= 1.

        Raises:
            ValueError: there are no rows, or they are not what the file takes.
        """
        if not len(rows):
            raise ValueError("`rows` must hold at least one row. Received: none")

        def work(start):
            runner = self._runners.get()
            try:
                outputs = runner(**{self._input: rows[start : start + self._batch_size]})
                # Copied, since an interpreter reuses its output buffers.
                return {name: value.copy() for name, value in outputs.items()}
            finally:
                self._runners.put(runner)

        parts = list(self._pool.map(work, range(0, len(rows), self._batch_size)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _described(details: dict) -> dict:
    return {
        name: {
            "dtype": "string" if each["dtype"] is np.bytes_ else np.dtype(each["dtype"]).name,
            "shape": each["shape_signature"].tolist(),
        }
        for name, each in sorted(details.items())
    }
