"""From a finished run to a folder of encoders, each verified in its target runtime."""

import dataclasses
import json
import os
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from udsph_tf.artefacts import MANIFEST, ExportError, write_manifest
from udsph_tf.config import Config
from udsph_tf.data.images import RESIZE_RECIPE, ImageError, load_pixels, read_image
from udsph_tf.data.pairs import Pairs
from udsph_tf.data.tokenizer import Tokenizer, as_bytes
from udsph_tf.export.saved_model import write_image_saved_model, write_text_saved_model
from udsph_tf.export.tflite import image_tflite, text_tflite
from udsph_tf.export.verification import compare_codes, reference_codes, run_saved_model
from udsph_tf.files import new_folder, sha256, write_text
from udsph_tf.litert import LiteRTModel
from udsph_tf.networks.encoder import code_writer, hash_writer
from udsph_tf.training.run_folder import RunFolder, text_tokenizer, versions

__all__ = ["export"]

_VERIFICATION = "verification.json"
_FLOAT_FORMS = ("saved_model", "float32.tflite")


def export(run: RunFolder, out: str | Path, held_back: Pairs, *, overwrite: bool = False) -> dict:
    """Write SavedModels, TFLite files, `manifest.json` and `verification.json`.

    The folder appears whole or not at all.

    Args:
        run: a finished run.
        out: the export folder.
        held_back: items that training has not seen, on which every form is compared.
        overwrite: replace an export that is there.

    Returns:
        The verification: for each modality and form what `compare_codes` says.

    Raises:
        FileExistsError: `out` exists and `overwrite` is False, or it holds something that is not
            an export.
        FileNotFoundError: the run has not ended.
        ValueError: `held_back` is empty, one of its pictures cannot be used any more, or the run
            was trained on feature vectors.
        ExportError: a float32 form does not run, or writes other codes than the Keras model.
        OSError: a file cannot be written.
    """
    finished = run.require_finished()
    config = run.config()
    if "vector" in (config.image.body, config.text.body):
        raise ValueError(
            f"The run in {run.path} was trained on feature vectors, which have no image or text "
            "encoder: it can be evaluated, and neither exported nor searched with words or pictures"
        )
    if not len(held_back):
        raise ValueError("`held_back` must hold at least one item. Received: none")
    if overwrite:
        _check_replaceable(Path(out))
    tokenizer = text_tokenizer(config, run.vocabulary)
    with (
        new_folder(out, overwrite=overwrite) as folder,
        tqdm(total=9, desc="export", unit="step") as steps,
    ):
        image, text = run.load("image_encoder"), run.load("text_encoder")
        image_writer = code_writer(image, "image_codes")
        text_writer = code_writer(text, "text_codes")
        write_image_saved_model(folder / "image" / "1", image_writer)
        steps.update()
        write_text_saved_model(folder / "text" / "1", text_writer, tokenizer)
        steps.update()
        for variant in ("float32", "dynamic"):
            small = variant == "dynamic"
            files = {
                "image": image_tflite(image_writer, dynamic_range=small),
                "text": text_tflite(text_writer, tokenizer, dynamic_range=small),
            }
            for modality, content in files.items():
                (folder / f"{modality}.{variant}.tflite").write_bytes(content)
                steps.update()
        verification = {
            "image": _verify_image(folder, image, held_back, config.image.size),
            "text": _verify_text(folder, text, held_back, tokenizer),
        }
        steps.update()
        _require_equal(verification)
        write_text(folder / _VERIFICATION, json.dumps(verification, indent=1) + "\n")
        write_text(folder / "vocabulary.txt", run.vocabulary.read_text(encoding="utf-8"))
        steps.update()
        write_manifest(folder, _description(run, config, finished, tokenizer))
        steps.update()
    return verification


def _check_replaceable(out: Path) -> None:
    """Let `overwrite` delete an export or an empty folder, and nothing else."""
    if not os.path.lexists(out):
        return
    is_export = all((out / name).is_file() for name in (MANIFEST, _VERIFICATION))
    if not is_export and not (out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(
            f"{out} exists and is not an export (it has no {MANIFEST} beside {_VERIFICATION}), so "
            "it is not replaced. Choose another folder"
        )


def _verify_image(folder: Path, encoder: keras.Model, pairs: Pairs, size: int) -> dict:
    data, pixels = zip(*(_picture(str(source), size) for source in pairs.images), strict=True)
    pixels = np.stack(pixels)
    logits = reference_codes(hash_writer(encoder, "image_logits"), pixels)
    outputs = run_saved_model(folder / "image" / "1", data)
    report = {"saved_model": compare_codes(logits, outputs["packed"])}
    for form in ("float32.tflite", "dynamic.tflite"):
        model = LiteRTModel((folder / f"image.{form}").read_bytes())
        report[form] = compare_codes(logits, model.run(pixels)["packed"])
    return report


def _picture(source: str, size: int) -> tuple[bytes, np.ndarray]:
    try:
        data = read_image(source)
        return data, load_pixels(data, size)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def _verify_text(folder: Path, encoder: keras.Model, pairs: Pairs, tokenizer: Tokenizer) -> dict:
    from tensorflow_text import tflite_registrar

    texts = [as_bytes(text) for text in pairs.texts]
    logits = reference_codes(hash_writer(encoder, "text_logits"), tokenizer.encode(pairs.texts))
    outputs = run_saved_model(folder / "text" / "1", texts)
    report = {"saved_model": compare_codes(logits, outputs["packed"])}
    for form in ("float32.tflite", "dynamic.tflite"):
        model = LiteRTModel(
            (folder / f"text.{form}").read_bytes(), custom_ops=tflite_registrar.SELECT_TFTEXT_OPS
        )
        report[form] = compare_codes(logits, model.run(np.array(texts, dtype=object))["packed"])
    return report


def _require_equal(verification: dict) -> None:
    for modality, forms in verification.items():
        for form in _FLOAT_FORMS:
            wrong = forms[form]["differing_bits_not_near_zero"]
            if wrong:
                raise ExportError(
                    f"The {modality} encoder's {form} differs from the Keras model in {wrong} bits "
                    "that are not near zero; nothing was exported. Please report this"
                )


def _description(run: RunFolder, config: Config, finished: dict, tokenizer: Tokenizer) -> dict:
    results = run.read_json("results")
    return {
        "num_bits": config.network.num_bits,
        "bit_order": "big: the first bit of a code is the most significant of the first byte",
        "bit_meaning": "1 where hash >= 0",
        "image": {
            "size": config.image.size,
            "range": [0, 255],
            "dtype": "uint8",
            "resize": RESIZE_RECIPE,
        },
        "text": {
            "encoding": "UTF-8",
            "max_tokens": config.text.max_tokens,
            "lower_case": tokenizer.lower_case,
            "vocabulary_sha256": sha256(run.vocabulary),
        },
        "validation_map": finished["validation_map"],
        "metrics": results["summary"] if results else None,
        "config": dataclasses.asdict(config),
        "versions": versions(),
    }
