"""What the forms of an export keep, cost and take, on real items; three parts, one table each.

python benchmarks/export.py bits --run runs/fashion --artefacts artefacts/fashion
python benchmarks/export.py resize --run runs/fashion --artefacts artefacts/fashion --items 1000
python benchmarks/export.py rates --run runs/fashion --artefacts artefacts/fashion

bits: codes and MAP of every form, against the Keras model. resize: bits that a platform's usual
resize changes. rates: pictures a second, as ratios within one run. Each part replaces its own
numbers in docs/results/export.json, and docs/results/export.md is written from all of them.
"""

import io
import json
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags
from PIL import Image

from udsph_tf.codes import unpack
from udsph_tf.data.images import decode_and_resize, decode_picture, load_pixels, read_image
from udsph_tf.export.items import held_back_items
from udsph_tf.export.quantization_report import quantization_report, report_table
from udsph_tf.export.verification import (
    codes_of_forms,
    compare_codes,
    open_tflite,
    reference_codes,
)
from udsph_tf.files import write_text
from udsph_tf.networks.encoder import code_writer, hash_writer
from udsph_tf.training import RunFolder
from udsph_tf.training.material import run_pairs
from udsph_tf.training.run_folder import machine, text_tokenizer, versions

_RUN = flags.DEFINE_string("run", None, "a finished run folder", required=True)
_ARTEFACTS = flags.DEFINE_string("artefacts", None, "its export folder", required=True)
_ITEMS = flags.DEFINE_integer("items", 10_000, "items that training has not seen", lower_bound=1)
_PHOTOS = flags.DEFINE_string("photos", "", "folder of larger photos, for the part `resize`")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds of `rates`, interleaved; the best one counts")
_OUT = flags.DEFINE_string("out", "docs/results", "folder of the results")


def held_back(run: RunFolder, number: int):
    """Pairs in no training batch: query and validation items first, then others."""
    pairs = run_pairs(run)
    train = pairs.indices("train")
    rest = np.setdiff1d(pairs.indices("database"), train)
    rows = np.concatenate([pairs.indices("query"), pairs.indices("validation"), rest])
    return pairs.take(rows[:number])


def bits(run: RunFolder, artefacts: Path) -> dict:
    """Codes of every form beside the Keras model's; MAP of the items among themselves."""
    pairs = held_back(run, _ITEMS.value)
    items = held_back_items(pairs, run.config().image.size)
    tokenizer = text_tokenizer(run.config(), run.vocabulary)
    models = {each: run.load(f"{each}_encoder") for each in items}
    rows = {"image": items["image"].rows, "text": tokenizer.encode(pairs.texts)}
    logits, codes = {}, codes_of_forms(artefacts, items)
    for modality, model in models.items():
        writer = hash_writer(model, f"{modality}_logits")
        logits[modality] = reference_codes(writer, rows[modality])
    compared = {
        modality: {form: compare_codes(logits[modality], each) for form, each in forms.items()}
        for modality, forms in codes.items()
    }
    report = quantization_report(artefacts, codes, logits, items, pairs.labels)
    int8 = json.loads((artefacts / "manifest.json").read_text(encoding="utf-8"))["int8"]
    return {"forms": compared, "report": report, "database": len(pairs), "int8": int8}


def resize(run: RunFolder, artefacts: Path) -> dict:
    """Bits that change where a device resizes in its own way."""
    size = run.config().image.size
    encode = open_tflite(artefacts / "image.float32.tflite").run
    sources = {"held-back items": [str(each) for each in held_back(run, _ITEMS.value).images]}
    if _PHOTOS.value:
        sources["larger photos"] = [str(each) for each in sorted(Path(_PHOTOS.value).iterdir())]
    found = {}
    for name, files in sources.items():
        data = [read_image(each) for each in files]
        sides = np.array([Image.open(io.BytesIO(each)).size for each in data])
        told = unpack(encode(np.stack([load_pixels(each, size) for each in data]))["packed"])
        found[name] = {"pictures": len(data), "median_sides": np.median(sides, axis=0).tolist()}
        for way, act in _resizes(size).items():
            pixels = np.stack([act(each) for each in data])
            changed = unpack(encode(pixels)["packed"]) != told
            found[name][way] = {
                "bits_changed": float(changed.mean()),
                "items_changed": float(changed.any(axis=1).mean()),
            }
    return found


def _resizes(size):
    def pillow(filter):
        def act(data):
            image = Image.open(io.BytesIO(data)).convert("RGB")
            return np.asarray(image.resize((size, size), filter))

        return act

    def plain(data):
        image = tf.image.resize(decode_picture(tf.constant(data)), [size, size], antialias=False)
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)

    return {
        "Pillow, BILINEAR (antialiased)": pillow(Image.Resampling.BILINEAR),
        "bilinear of four pixels, half-pixel centres (OpenCV INTER_LINEAR, GPUs)": plain,
        "Pillow, BICUBIC": pillow(Image.Resampling.BICUBIC),
        "Pillow, NEAREST": pillow(Image.Resampling.NEAREST),
    }


def rates(run: RunFolder, artefacts: Path) -> dict:
    """Pictures a second of several ways to the same codes, interleaved."""
    pairs, size = held_back(run, 256), run.config().image.size
    items = held_back_items(pairs, size)["image"]
    number = len(items.encoded)
    writer = code_writer(run.load("image_encoder"), "image_codes")
    decode = decode_and_resize(size)
    loaded = tf.saved_model.load(str(artefacts / "image" / "1"))
    served = loaded.signatures["serving_default"]
    bare = tf.function(lambda pixels: writer(pixels, training=False))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def bare_with_decoding(data):
        spec = tf.TensorSpec([size, size, 3], tf.uint8)
        return bare(tf.map_fn(decode, data, fn_output_signature=spec, parallel_iterations=16))

    def batches(call, given, batch=64):
        return lambda: [call(tf.constant(given[at : at + batch])) for at in range(0, number, batch)]

    def tflite(variant, **options):
        model = open_tflite(artefacts / f"image.{variant}.tflite", **options)
        return lambda: model.run(items.rows)

    with_decoding = batches(bare_with_decoding, items.encoded)
    ways = {
        "SavedModel, bytes to codes, batch 64": batches(
            lambda data: served(image_bytes=data), items.encoded
        ),
        "tf.function with the same decoding, batch 64": with_decoding,
        "tf.function from pixels, batch 64": batches(bare, items.rows),
    }
    for variant in ("float32", "int8"):
        ways[f"LiteRT {variant}, an interpreter a core, batch 8"] = tflite(variant)
    for variant in ("float32", "float16", "dynamic", "int8"):
        ways[f"LiteRT {variant}, one thread, batch 1"] = tflite(variant, batch_size=1, workers=1)
    best = dict.fromkeys(ways, float("inf"))
    for each in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if each:  # the first round traces and warms up
                best[name] = min(best[name], time.perf_counter() - start)
    return {"pictures": number, "rates": {name: number / each for name, each in best.items()}}


_PARTS = {"bits": bits, "resize": resize, "rates": rates}


def _bits_text(found: dict) -> str:
    about = f"{found['database']:,} items that training has not seen."
    if found["int8"]:
        about += (
            f" `image.int8.tflite`: ranges from {found['int8']['calibration_items']} training "
            f"pictures, head `{found['int8']['head']}`."
        )
    lines = [
        f"{about}\n",
        "| encoder | form | equal bits | differing bits | of them not near 0 |",
        "|---|---|---|---|---|",
    ]
    for modality, forms in found["forms"].items():
        for form, each in forms.items():
            lines.append(
                f"| {modality} | {form} | {each['agreement']:.4%} | {each['differing_bits']:,} of "
                f"{each['bits']:,} | {each['differing_bits_not_near_zero']:,} |"
            )
    lines += [
        "\nA bit is near 0 where its |logit| < 1e-4. MAP, among these items: the variant's codes "
        "as query or as database, the Keras model's codes of the other modality on the other side; "
        "in brackets the difference to Keras codes on both. Milliseconds: the median of single "
        "items, one thread, on a machine that was perhaps not idle.\n",
        report_table(found["report"]),
    ]
    return "\n".join(lines)


def _resize_text(found: dict) -> str:
    lines = ["| pictures | resized by | bits changed | codes changed |", "|---|---|---|---|"]
    for name, ways in found.items():
        width, height = ways["median_sides"]
        for way, each in ways.items():
            if isinstance(each, dict):
                lines.append(
                    f"| {ways['pictures']:,} {name}, {width:.0f}x{height:.0f} | {way} | "
                    f"{each['bits_changed']:.3%} | {each['items_changed']:.2%} |"
                )
    return "\n".join(lines)


def _rates_text(found: dict) -> str:
    rates = found["rates"]
    lines = ["| way | pictures/s |", "|---|---|"]
    lines += [f"| {name} | {rate:.0f} |" for name, rate in rates.items()]
    lines += ["", "| ratio | |", "|---|---|"]
    for name, over, under in (
        ("SavedModel over a bare tf.function", "SavedModel, bytes", "tf.function with"),
        ("int8 over float32, batch 1", "LiteRT int8, one", "LiteRT float32, one"),
        ("float32 LiteRT over tf.function", "LiteRT float32, an", "tf.function from"),
    ):
        a, b = (
            next(rate for way, rate in rates.items() if way.startswith(each))
            for each in (over, under)
        )
        lines.append(f"| {name} | {a / b:.2f} |")
    return "\n".join(lines)


_TEXTS = {
    "bits": ("Bits and MAP", _bits_text),
    "resize": ("A device's own resize", _resize_text),
    "rates": ("Rates", _rates_text),
}


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in _PARTS:
        raise app.UsageError(f"Name one part: {', '.join(_PARTS)}")
    part, folder = arguments[1], Path(_OUT.value)
    stored = folder / "export.json"
    results = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    result = _PARTS[part](RunFolder(Path(_RUN.value)), Path(_ARTEFACTS.value))
    command = shlex.join(["python", *sys.argv])
    about = f"{machine()}, TensorFlow {versions()['tensorflow']}"
    results[part] = {"command": command, "machine": about, **result}
    write_text(stored, json.dumps(results, indent=1) + "\n")
    text = ["# Exported encoders\n"]
    for name, (title, write) in _TEXTS.items():
        if name in results:
            each = results[name]
            told = {key: each[key] for key in each if key not in ("command", "machine")}
            text.append(
                f"## {title}\n\n`{each['command']}`\n\n{each['machine']}.\n\n{write(told)}\n"
            )
    write_text(folder / "export.md", "\n".join(text))
    print(_TEXTS[part][1](result))


if __name__ == "__main__":
    app.run(main)
