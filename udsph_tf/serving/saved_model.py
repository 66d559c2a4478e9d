"""Run a signature of a SavedModel in this process: for machines with an accelerator."""

import os

import numpy as np
import tensorflow as tf

__all__ = ["SavedModel"]


class SavedModel:
    """A signature with one input, run over any number of rows; on CPUs LiteRT is faster.

    Args:
        folder: the SavedModel.
        signature: its name.
        batch_size: rows that it is given at once.

    Raises:
        OSError: there is no SavedModel.
    """

    def __init__(self, folder: str | os.PathLike, signature: str, batch_size: int):
        self._model = tf.saved_model.load(os.fspath(folder))
        self._call = self._model.signatures[signature]
        (self._input,) = self._call.structured_input_signature[1]
        self._batch_size = batch_size

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs of all rows, in order.

        Args:
            rows: (n, ...) of the input's dtype; n >= 1.
        """
        parts = [
            self._call(**{self._input: tf.constant(rows[start : start + self._batch_size])})
            for start in range(0, len(rows), self._batch_size)
        ]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}
