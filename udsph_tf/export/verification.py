"""Do all forms of an encoder write the same codes? Each runs in its target runtime."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from udsph_tf.artefacts import ExportError
from udsph_tf.codes import unpack
from udsph_tf.export import probe
from udsph_tf.export.items import Items
from udsph_tf.litert import LiteRTModel

__all__ = [
    "EXACT_FORMS",
    "NEAR_ZERO",
    "codes_of_forms",
    "compare_codes",
    "open_tflite",
    "reference_codes",
    "run_saved_models",
]

NEAR_ZERO = 1e-4
"""Only a bit whose logit is smaller than this may differ between float32 forms."""
EXACT_FORMS = ("saved_model", "saved_model_session", "float32.tflite")
"""Forms that compute in float32, as the Keras model does."""


def reference_codes(hash_logits_model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """(n, num_bits) logits by Keras' own `predict`."""
    return hash_logits_model.predict(inputs, batch_size=64, verbose=0)


def codes_of_forms(
    folder: str | Path, items: Mapping[str, Items]
) -> dict[str, dict[str, np.ndarray]]:
    """Packed codes by every form of the encoders that is in the folder.

    Args:
        folder: an export folder, finished or not.
        items: by modality (`"image"`, `"text"`), n items of it.

    Returns:
        By modality and form, (n, num_bits / 8) uint8: `saved_model` through
        `tf.saved_model.load`, `saved_model_session` through the loader of TensorFlow Serving, and
        `<variant>.tflite`.

    Raises:
        ExportError: a SavedModel does not run.
    """
    folder = Path(folder)
    asked = {folder / modality / "1": each.encoded for modality, each in items.items()}
    outputs = run_saved_models(asked)
    codes = {}
    for modality, each in items.items():
        found = outputs[folder / modality / "1"]
        forms = {
            "saved_model": found["packed"],
            "saved_model_session": found["session_packed"],
        }
        for path in sorted(folder.glob(f"{modality}.*.tflite")):
            form = path.name.removeprefix(f"{modality}.")
            forms[form] = open_tflite(path).run(each.rows)["packed"]
        codes[modality] = forms
    return codes


def open_tflite(path: Path, **options) -> LiteRTModel:
    """A file of an export, with the tokenizer's operations where it reads text."""
    if path.name.startswith("text."):
        from tensorflow_text import tflite_registrar

        options["custom_ops"] = tflite_registrar.SELECT_TFTEXT_OPS
    return LiteRTModel(path.read_bytes(), **options)


def run_saved_models(items: Mapping[Path, Sequence[bytes]]) -> dict[Path, dict[str, np.ndarray]]:
    """Outputs of SavedModels' `serving_default`, run in a process that never imports udsph_tf.

    One process runs them all, since importing TensorFlow takes longer than running them.

    Args:
        items: by folder of a SavedModel, what it is given.

    Returns:
        By folder, its outputs by name. Those that the loader of TensorFlow 1 gives, which
        TensorFlow Serving uses, have `session_` before their names.

    Raises:
        ExportError: the process failed; the message names the SavedModel and has the last lines.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command, written = [sys.executable, probe.__file__], {}
        for number, (folder, each) in enumerate(items.items()):
            inputs, outputs = (Path(scratch, f"{name}{number}.npz") for name in ("in", "out"))
            offsets = np.cumsum([0, *(len(item) for item in each)])
            np.savez(inputs, offsets=offsets, data=np.frombuffer(b"".join(each), dtype=np.uint8))
            command += [str(folder), str(inputs), str(outputs)]
            written[folder] = outputs
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            check=False,
        )
        if done.returncode:
            # They are run in turn, each writing its outputs last.
            failed = next(folder for folder, outputs in written.items() if not outputs.exists())
            raise ExportError(f"{failed} does not run:\n{done.stderr[-2000:]}")
        return {folder: _arrays(outputs) for folder, outputs in written.items()}


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def compare_codes(logits: np.ndarray, packed: np.ndarray) -> dict:
    """Compare an artefact's codes with the Keras model's.

    Args:
        logits: (n, num_bits), the Keras model's.
        packed: (n, num_bits / 8) uint8, the artefact's.

    Returns:
        `items`, `bits` compared, `differing_bits`, `differing_bits_not_near_zero` (of those where
        |logit| >= 1e-4), `items_changed`, `agreement` (share of equal bits).
    """
    different = unpack(packed) != np.where(logits >= 0, 1, -1)
    return {
        "items": len(logits),
        "bits": int(different.size),
        "differing_bits": int(different.sum()),
        "differing_bits_not_near_zero": int((different & (np.abs(logits) >= NEAR_ZERO)).sum()),
        "items_changed": int(different.any(axis=1).sum()),
        "agreement": float(1 - different.mean()),
    }
