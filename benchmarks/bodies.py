"""Every body from training to an export that is checked, on mirflickr724: a row a body.

python benchmarks/bodies.py --root <folder of mirflickr724> --out runs/bodies

Each row runs the commands `udsph fit`, `evaluate`, `export` and `verify` with one body of its own,
for a few epochs. Bits of every exported form are compared with the Keras model's. Presets that the
package has no weights for are made here, small and with random weights; such rows show that the
way is whole, and nothing about the body. Rows are kept in docs/results/bodies.json as they end, so
that a run that was stopped goes on; `--bodies image:cnn_f,...` runs these alone, again.
"""

import json
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from udsph_tf.config_sections import IMAGE_BODIES, TEXT_BODIES
from udsph_tf.files import write_text
from udsph_tf.litert import num_cores
from udsph_tf.training.run_folder import versions

_ROOT = flags.DEFINE_string("root", None, "the folder of mirflickr724", required=True)
_OUT = flags.DEFINE_string("out", "runs/bodies", "folder of the runs; exports are not kept")
_RESULTS = flags.DEFINE_string("results", "docs/results", "folder of the results")
_BODIES = flags.DEFINE_list("bodies", [], "rows to run, again; all that are missing where empty")

_FEW_EPOCHS = {"label_epochs": 10, "separate_epochs": 2, "joint_epochs": 4, "refine_epochs": 2}
_SIDE, _PIECES = 96, 32

# By row: keys of its section, and the preset or file that is made for it.
ROWS = {
    "text:wordpiece": {},
    "text:bag_of_words": {},
    "text:word2vec": {},
    "text:word2vec (file)": {"vectors": "glove.txt"},
    "text:doc2vec": {},
    "text:minilm": {},
    "text:keras_hub": {"preset": "bert"},
    "image:small_cnn": {},
    "image:efficientnet_lite0": {},
    "image:efficientnet_lite0 (last)": {"pooling": "last"},
    "image:cnn_f": {"weights": "random"},
    "image:keras_applications": {"preset": "MobileNetV2", "weights": "random"},
    "image:keras_hub": {"preset": "vit", "size": _SIDE},
    "image:keras_hub (ResNet)": {"preset": "resnet", "size": _SIDE},
}
_WEIGHTS = {
    "text:word2vec (file)": "random vectors in a file as GloVe's",
    "text:minilm": "pretrained",
    "text:keras_hub": "random, a BERT of two layers",
    "image:efficientnet_lite0": "pretrained",
    "image:efficientnet_lite0 (last)": "pretrained",
    "image:cnn_f": "random",
    "image:keras_applications": "random, MobileNetV2",
    "image:keras_hub": "random, a ViT of two layers",
    "image:keras_hub (ResNet)": "random, a ResNet of two stages",
}
_EXACT = ("saved_model", "saved_model_session", "float32.tflite")


def run_row(row: str, out: Path) -> dict:
    """The four commands of a row, and what they say."""
    section, _, name = row.partition(":")
    body = name.partition(" (")[0]
    keys = {"body": body, **ROWS[row]}
    for key in ("preset", "vectors"):
        if keys.get(key) in _MADE:
            keys[key] = _made(out / "made", keys[key])
    folder = out / re.sub(r"\W+", "-", row).strip("-")
    for each in (folder, folder.with_suffix(".export")):
        shutil.rmtree(each, ignore_errors=True)
    sets = [f"{section}.{key}={value}" for key, value in keys.items()]
    sets += [f"training.{key}={value}" for key, value in _FEW_EPOCHS.items()]
    given = [part for each in sets for part in ("--set", each)]
    cache = ["--cache", str(out / "cache")]
    start = time.perf_counter()
    fitted = _udsph(
        "fit", "--dataset", "mirflickr724", "--root", _ROOT.value, "--out", folder, *given, *cache
    )
    seconds = {"fit": time.perf_counter() - start}
    scores = _udsph("evaluate", "--run", folder, *cache)["summary"]
    start = time.perf_counter()
    export = folder.with_suffix(".export")
    said = _udsph("export", "--run", folder, "--out", export)
    seconds["export"] = time.perf_counter() - start
    checks = _udsph("verify", export)["checks"]
    shutil.rmtree(export)
    forms = said["verification"][section]
    return {
        "weights": _WEIGHTS.get(row, "learnt from the training items"),
        "validation_map": fitted["validation_map"],
        "map": {direction: each["map"] for direction, each in scores.items() if "to" in direction},
        "forms": forms,
        "checks": checks,
        "seconds": {key: round(each) for key, each in seconds.items()},
    }


def _udsph(*arguments) -> dict:
    """What a command says with --json; its progress is shown.

    Raises:
        RuntimeError: it failed.
    """
    command = [str(Path(sys.executable).with_name("udsph")), *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout)


def _bert(folder: Path) -> None:
    import keras_hub

    digits = [*"0123456789"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tag"]
    pieces += [*digits, *(f"##{digit}" for digit in digits)]
    keras_hub.models.BertBackbone(
        vocabulary_size=len(pieces),
        num_layers=2,
        num_heads=4,
        hidden_dim=64,
        intermediate_dim=128,
        max_sequence_length=_PIECES,
    ).save_to_preset(str(folder))
    keras_hub.models.BertTokenizer(vocabulary=pieces, lowercase=True).save_to_preset(str(folder))


def _vit(folder: Path) -> None:
    import keras_hub

    keras_hub.models.ViTBackbone(
        image_shape=(_SIDE, _SIDE, 3),
        patch_size=(16, 16),
        num_layers=2,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=128,
    ).save_to_preset(str(folder))
    keras_hub.layers.ViTImageConverter(
        image_size=(_SIDE, _SIDE), scale=1 / 127.5, offset=-1.0
    ).save_to_preset(str(folder))


def _resnet(folder: Path) -> None:
    import keras_hub

    keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(_SIDE, _SIDE, 3),
    ).save_to_preset(str(folder))
    keras_hub.layers.ResNetImageConverter(
        image_size=(_SIDE, _SIDE), scale=1 / 255, offset=-0.5
    ).save_to_preset(str(folder))


def _glove(path: Path) -> None:
    rng = np.random.default_rng(0)
    # Every second tag alone: training words that a file lacks are met too.
    rows = [
        f"tag{column:04d} " + " ".join(f"{number:.4f}" for number in rng.normal(size=64))
        for column in range(0, 1386, 2)
    ]
    write_text(path, "\n".join(rows) + "\n")


_MADE = {"bert": _bert, "vit": _vit, "resnet": _resnet, "glove.txt": _glove}


def _made(folder: Path, name: str) -> str:
    path = folder.resolve() / name
    if not path.exists():
        import keras

        keras.utils.set_random_seed(0)
        folder.mkdir(parents=True, exist_ok=True)
        _MADE[name](path)
    return str(path)


def _page(results: dict) -> str:
    lines = [
        "# Bodies, from training to export\n",
        f"`{results['command']}`\n",
        f"{results['machine']}; "
        + ", ".join(f"{name} {each}" for name, each in results["versions"].items())
        + ".\n",
        "The commands `udsph fit`, `evaluate`, `export` and `verify` on mirflickr724, 64 bits, "
        "with one body other than the data set's own (EfficientNet-Lite0, word pieces) a row, "
        f"{_FEW_EPOCHS['separate_epochs'] + _FEW_EPOCHS['joint_epochs']} epochs of the hashers. "
        "Bits are those of the row's own encoder for the 100 query items, 6,400 a form, against "
        "the Keras model's: in the SavedModel (opened by TensorFlow 2 and as TensorFlow Serving "
        "does) and in the float32 TFLite file; a bit that is not near zero (|logit| < 1e-4) would "
        "end the export with an error.\n",
        "MAP is there to show that something was learnt; a random order has 0.48. After so few "
        "epochs, on pseudo words and partly random weights, it does not rank the bodies.\n",
        "| body | weights | differing bits: SavedModel, Serving, float32 TFLite | dynamic | int8 "
        "| MAP I->T | MAP T->I | fit s | export s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        each = results["rows"].get(row)
        if each is None:
            continue
        bits = ", ".join(str(each["forms"][form]["differing_bits"]) for form in _EXACT)
        others = [
            f"{each['forms'][form]['agreement']:.2%}" if form in each["forms"] else ""
            for form in ("dynamic.tflite", "int8.tflite")
        ]
        lines.append(
            f"| {row.replace(':', ': ')} | {each['weights']} | {bits} | {' | '.join(others)} | "
            f"{each['map']['image_to_text']:.3f} | {each['map']['text_to_image']:.3f} | "
            f"{each['seconds']['fit']} | {each['seconds']['export']} |"
        )
    lines += [
        "\n`dynamic` and `int8`: share of equal bits in the quantized TFLite files; there is no "
        "int8 file of a text encoder. `verify` found every export as it was written: "
        "checksums, signatures, operations and the bits of the golden items. Seconds: not on an "
        "idle machine, ratios only.\n"
    ]
    missing = [row for row in ROWS if row not in results["rows"]]
    if missing:
        lines.append(f"Not run: {', '.join(missing)}.\n")
    return "\n".join(lines)


def main(_):
    covered = {row.partition(":")[2].partition(" (")[0] for row in ROWS}
    absent = {*IMAGE_BODIES, *TEXT_BODIES} - {"vector"} - covered
    if absent:
        raise app.UsageError(f"There is no row of the bodies {sorted(absent)}")
    unknown = sorted({*_BODIES.value} - {*ROWS})
    if unknown:
        raise app.UsageError(f"Unknown row {unknown[0]!r}. Rows: {', '.join(ROWS)}")
    stored = Path(_RESULTS.value) / "bodies.json"
    results = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {"rows": {}}
    asked = _BODIES.value or [row for row in ROWS if row not in results["rows"]]
    for row in asked:
        print(row, file=sys.stderr)
        done = run_row(row, Path(_OUT.value))
        results = {
            "command": "python benchmarks/bodies.py --root mirflickr724 --out runs/bodies",
            "machine": f"{platform.machine()}, cores used: {num_cores()}",
            "versions": versions(),
            "rows": {**results["rows"], row: done},
        }
        write_text(stored, json.dumps(results, indent=1) + "\n")
        write_text(stored.with_suffix(".md"), _page(results))
    print(_page(results))


if __name__ == "__main__":
    app.run(main)
