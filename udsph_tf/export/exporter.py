"""From a finished run to a folder of encoders, each verified in its target runtime."""

import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from udsph_tf.artefacts import MANIFEST, ExportError, write_manifest
from udsph_tf.data import resize
from udsph_tf.data.catalogue import CATALOGUE
from udsph_tf.data.pairs import Pairs
from udsph_tf.export.contract import signatures
from udsph_tf.export.description import counts_by_role, describe
from udsph_tf.export.golden import write_golden
from udsph_tf.export.int8_head import check_head
from udsph_tf.export.items import candidates, held_back_items
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
from udsph_tf.files import new_folder, write_bytes, write_text
from udsph_tf.litert import LiteRTModel
from udsph_tf.networks.encoder import code_writer, hash_writer
from udsph_tf.training.run_folder import RunFolder, text_tokenizer

__all__ = ["export"]

_VERIFICATION, _QUANTIZATION = "verification.json", "quantization.json"
_CANDIDATES = 4
"""Training pictures that are looked at for each one that is calibrated on."""
_WARMUP_ITEMS = 8


def export(
    run: RunFolder,
    out: str | Path,
    held_back: Pairs,
    calibration: Pairs | None = None,
    *,
    calibration_items: int = 128,
    golden_items: int = 8,
    int8_hash: bool = False,
    int8_head: str = "corrected",
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
        int8_head: what is done about the int8 file's head, one of `int8_head.HEADS`.
        overwrite: replace an export that is there.

    Returns:
        `verification`: for each modality and form what `compare_codes` says; `quantization`: what
        `quantization_report` says.

    Raises:
        FileExistsError: `out` exists and `overwrite` is False, or it holds something that is not
            an export.
        FileNotFoundError: the run has not ended.
        ValueError: `held_back` is empty, one of its pictures cannot be used any more, `int8_head`
            is unknown, or the run was trained on feature vectors.
        ExportError: a float32 form does not run, or writes other codes than the Keras model.
        OSError: a file cannot be written.
    """
    run.require_finished()
    config = run.config()
    if "vector" in (config.image.body, config.text.body):
        raise ValueError(
            f"The run in {run.path} was trained on feature vectors, which have no image or text "
            "encoder: it can be evaluated, and neither exported nor searched with words or pictures"
        )
    if not len(held_back):
        raise ValueError("`held_back` must hold at least one item. Received: none")
    check_head(int8_head)
    if overwrite:
        _check_replaceable(Path(out))
    tokenizer = text_tokenizer(config, run.vocabulary)
    size = config.image.size
    variants = len(IMAGE_VARIANTS) + len(TEXT_VARIANTS) - (calibration is None)
    with (
        new_folder(out, overwrite=overwrite) as folder,
        tqdm(total=variants + 6, desc="export", unit="step") as steps,
    ):

        def facts(modality, variant):
            shared = {"num_bits": config.network.num_bits, "bit_order": "big", "size": size}
            return {**shared, "modality": modality, "variant": variant}

        def write(name, content):
            write_bytes(folder / name, content)
            steps.update()

        image, text = run.load("image_encoder"), run.load("text_encoder")
        image_writer = code_writer(image, "image_codes")
        text_writer = code_writer(text, "text_codes")
        items = held_back_items(held_back, size)
        logits = {
            "image": reference_codes(hash_writer(image, "image_logits"), items["image"].rows),
            "text": reference_codes(
                hash_writer(text, "text_logits"), tokenizer.encode(held_back.texts)
            ),
        }
        steps.update()
        write_image_saved_model(folder / "image" / "1", image_writer)
        asked = items["image"].encoded[:_WARMUP_ITEMS]
        write_warmup(
            folder / "image" / "1", "image", {"serving_default": asked, "with_mask": asked}
        )
        steps.update()
        write_text_saved_model(folder / "text" / "1", text_writer, tokenizer)
        asked = items["text"].encoded[:_WARMUP_ITEMS]
        write_warmup(folder / "text" / "1", "text", {"serving_default": asked})
        steps.update()
        files = image_tflite(image_writer, lambda variant: facts("image", variant))
        for variant, content in files.items():
            write(f"image.{variant}.tflite", content)
        files = text_tflite(text_writer, tokenizer, lambda variant: facts("text", variant))
        for variant, content in files.items():
            write(f"text.{variant}.tflite", content)
        int8 = None
        if calibration is not None:
            seen = candidates(calibration, _CANDIDATES * calibration_items, size)
            chosen = _hard_cases(folder, seen, calibration_items)
            content = image_int8_tflite(
                image,
                seen[chosen],
                facts("image", "int8"),
                with_hash=int8_hash,
                head=int8_head,
                more_pixels=seen,
            )
            write("image.int8.tflite", content)
            int8 = {"calibration_items": len(chosen), "head": int8_head}
        codes = codes_of_forms(folder, items)
        steps.update()
        verification = {
            modality: {form: compare_codes(logits[modality], each) for form, each in forms.items()}
            for modality, forms in codes.items()
        }
        _require_equal(verification)
        write_text(folder / _VERIFICATION, json.dumps(verification, indent=1) + "\n")
        report = quantization_report(folder, codes, logits, items, held_back.labels)
        write_text(folder / _QUANTIZATION, json.dumps(report, indent=1) + "\n")
        steps.update()
        write_golden(
            folder,
            {modality: each.first(golden_items) for modality, each in items.items()},
            logits,
            codes,
        )
        write_text(folder / "vocabulary.txt", run.vocabulary.read_text(encoding="utf-8"))
        write_bytes(folder / "resize.py", Path(resize.__file__).read_bytes())
        manifest = {**describe(run), "int8": int8, "signatures": signatures(folder)}
        card = model_card(
            manifest,
            CATALOGUE[config.data.dataset],
            counts_by_role(run),
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


def _hard_cases(folder: Path, pixels: np.ndarray, number: int) -> np.ndarray:
    hash_values = LiteRTModel((folder / "image.float32.tflite").read_bytes()).run(pixels)["hash"]
    # tanh keeps the order of |logits|, and hardly saturates where they are small.
    return hard_cases(hash_values, number)


def _require_equal(verification: dict) -> None:
    for modality, forms in verification.items():
        for form in EXACT_FORMS:
            wrong = forms[form]["differing_bits_not_near_zero"]
            if wrong:
                raise ExportError(
                    f"The {modality} encoder's {form} differs from the Keras model in {wrong} bits "
                    "that are not near zero; nothing was exported. Please report this"
                )
