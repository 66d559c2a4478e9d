"""From a finished run to a folder of encoders, each verified in its target runtime."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from udsph_tf.artefacts import MANIFEST, ExportError, write_manifest
from udsph_tf.config import Config
from udsph_tf.data.catalogue import CATALOGUE
from udsph_tf.data.images import RESIZE_RECIPE, ImageError, load_pixels, read_image
from udsph_tf.data.pairs import Pairs
from udsph_tf.data.splits import read_split
from udsph_tf.data.tokenizer import as_bytes
from udsph_tf.export.contract import signatures
from udsph_tf.export.golden import write_golden
from udsph_tf.export.model_card import model_card
from udsph_tf.export.quantization import hard_cases
from udsph_tf.export.quantization_report import quantization_report
from udsph_tf.export.saved_model import write_image_saved_model, write_text_saved_model
from udsph_tf.export.tflite import (
    IMAGE_VARIANTS,
    TEXT_VARIANTS,
    image_int8_tflite,
    image_tflite,
    text_tflite,
)
from udsph_tf.export.verification import (
    EXACT_FORMS,
    codes_of_forms,
    compare_codes,
    reference_codes,
)
from udsph_tf.export.warmup import write_warmup
from udsph_tf.files import new_folder, sha256, write_text
from udsph_tf.litert import LiteRTModel
from udsph_tf.networks.encoder import code_writer, hash_writer
from udsph_tf.training.run_folder import RunFolder, text_tokenizer, versions

__all__ = ["export"]

_VERIFICATION, _QUANTIZATION = "verification.json", "quantization.json"
_CANDIDATES = 4
"""Training pictures that are looked at for each one that is calibrated on."""


def export(
    run: RunFolder,
    out: str | Path,
    held_back: Pairs,
    calibration: Pairs | None = None,
    *,
    calibration_items: int = 128,
    golden_items: int = 8,
    int8_hash: bool = False,
    correct_head: bool = True,
    overwrite: bool = False,
) -> dict:
    """Write SavedModels, TFLite files, golden items, reports, a model card and `manifest.json`.

    The folder appears whole or not at all.

    Args:
        run: a finished run.
        out: the export folder.
        held_back: items that training has not seen, on which every form is compared.
        calibration: training items that the int8 file is calibrated on; None writes no such file.
        calibration_items: most of them that are used; four times as many are looked at, for hard
            cases.
        golden_items: held-back items that are stored with their expected codes.
        int8_hash: the int8 file gives `hash` too.
        correct_head: correct the int8 file's head for what its body gives.
        overwrite: replace an export that is there.

    Returns:
        `verification`: for each modality and form what `compare_codes` says; `quantization`: what
        `quantization_report` says.

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
    facts = {"num_bits": config.network.num_bits, "bit_order": "big", "size": config.image.size}
    variants = len(IMAGE_VARIANTS) + len(TEXT_VARIANTS) - (calibration is None)
    with (
        new_folder(out, overwrite=overwrite) as folder,
        tqdm(total=variants + 7, desc="export", unit="step") as steps,
    ):

        def write(name, content):
            (folder / name).write_bytes(content)
            steps.update()

        image, text = run.load("image_encoder"), run.load("text_encoder")
        image_writer = code_writer(image, "image_codes")
        text_writer = code_writer(text, "text_codes")
        items, rows = _held_back_items(held_back, config.image.size)
        logits = {
            "image": reference_codes(hash_writer(image, "image_logits"), rows["image"]),
            "text": reference_codes(
                hash_writer(text, "text_logits"), tokenizer.encode(held_back.texts)
            ),
        }
        steps.update()
        write_image_saved_model(folder / "image" / "1", image_writer)
        asked = {"serving_default": items["image"][:8], "with_mask": items["image"][:8]}
        write_warmup(folder / "image" / "1", "image", asked)
        steps.update()
        write_text_saved_model(folder / "text" / "1", text_writer, tokenizer)
        write_warmup(folder / "text" / "1", "text", {"serving_default": items["text"][:8]})
        steps.update()
        for weights in ("float32", "float16", "dynamic"):
            content = image_tflite(image_writer, _facts(facts, "image", weights), weights=weights)
            write(f"image.{weights}.tflite", content)
        for weights in TEXT_VARIANTS:
            about = _facts(facts, "text", weights)
            content = text_tflite(text_writer, tokenizer, about, weights=weights)
            write(f"text.{weights}.tflite", content)
        int8 = None
        if calibration is not None:
            pixels = _calibration_pixels(folder, calibration, config, calibration_items)
            content = image_int8_tflite(
                image,
                pixels,
                _facts(facts, "image", "int8"),
                with_hash=int8_hash,
                correct_head=correct_head,
            )
            write("image.int8.tflite", content)
            int8 = {"calibration_items": len(pixels), "corrected_head": correct_head}
        codes, verification = {}, {}
        for modality, each in logits.items():
            codes[modality] = codes_of_forms(folder, modality, items[modality], rows[modality])
            verification[modality] = {
                form: compare_codes(each, packed) for form, packed in codes[modality].items()
            }
            steps.update()
        _require_equal(verification)
        write_text(folder / _VERIFICATION, json.dumps(verification, indent=1) + "\n")
        report = quantization_report(folder, verification, codes, logits, rows, held_back.labels)
        write_text(folder / _QUANTIZATION, json.dumps(report, indent=1) + "\n")
        steps.update()
        write_golden(
            folder,
            items["image"][:golden_items],
            rows["image"][:golden_items],
            list(held_back.texts[:golden_items]),
            logits,
            codes,
        )
        write_text(folder / "vocabulary.txt", run.vocabulary.read_text(encoding="utf-8"))
        manifest = {
            **_description(run, config, finished),
            "int8": int8,
            "signatures": signatures(folder),
        }
        card = model_card(
            manifest,
            vars(CATALOGUE[config.data.dataset]),
            _counts(run),
            run.read_json("results"),
            report,
        )
        write_text(folder / "README.md", card)
        write_manifest(folder, manifest)
        steps.update()
    return {"verification": verification, "quantization": report}


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


def _held_back_items(pairs: Pairs, size: int) -> tuple[dict, dict]:
    """By modality: encoded pictures and UTF-8, and what a TFLite file reads of them."""
    data, pixels = zip(*(_picture(str(source), size) for source in pairs.images), strict=True)
    texts = [as_bytes(text) for text in pairs.texts]
    rows = {"image": np.stack(pixels), "text": np.array(texts, dtype=object)}
    return {"image": data, "text": texts}, rows


def _picture(source: str, size: int) -> tuple[bytes, np.ndarray]:
    try:
        data = read_image(source)
        return data, load_pixels(data, size)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def _calibration_pixels(folder: Path, pairs: Pairs, config: Config, number: int) -> np.ndarray:
    """Pixels of training items, hard cases among them."""
    sources = pairs.images[: _CANDIDATES * number]
    pixels = np.stack([_picture(str(source), config.image.size)[1] for source in sources])
    hash_values = LiteRTModel((folder / "image.float32.tflite").read_bytes()).run(pixels)["hash"]
    # tanh keeps the order of |logits|, and hardly saturates where they are small.
    return pixels[hard_cases(hash_values, number)]


def _require_equal(verification: dict) -> None:
    for modality, forms in verification.items():
        for form in EXACT_FORMS:
            wrong = forms[form]["differing_bits_not_near_zero"]
            if wrong:
                raise ExportError(
                    f"The {modality} encoder's {form} differs from the Keras model in {wrong} bits "
                    "that are not near zero; nothing was exported. Please report this"
                )


def _facts(shared: dict, modality: str, variant: str) -> dict:
    return {**shared, "modality": modality, "variant": variant}


def _counts(run: RunFolder) -> dict[str, int]:
    split = read_split(run.split)
    return {role: len(ids) for role, ids in split.roles.items()}


def _description(run: RunFolder, config: Config, finished: dict) -> dict:
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
            "vocabulary_sha256": sha256(run.vocabulary),
        },
        "validation_map": finished["validation_map"],
        "metrics": results["summary"] if results else None,
        "config": dataclasses.asdict(config),
        "versions": versions(),
    }
