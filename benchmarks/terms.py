"""What single terms and weights do, on validation: one run each, a Markdown table.

python benchmarks/terms.py --root <fashion folder> --out runs/terms > docs/results/terms.md

Runs that have ended are not run again. Query items are never touched.
"""

import json
import platform
from pathlib import Path

from absl import app, flags

from udsph_tf.config import Config, override
from udsph_tf.data import CATALOGUE
from udsph_tf.litert import num_cores
from udsph_tf.training import RunFolder, evaluate, fit
from udsph_tf.training.preparation import default_cache
from udsph_tf.training.run_folder import versions

_ROOT = flags.DEFINE_string("root", None, "the fashion folder", required=True)
_OUT = flags.DEFINE_string("out", "runs/terms", "folder of the runs")
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_SKIP = flags.DEFINE_multi_string("skip", [], "a variant to leave out; may be repeated")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "training seeds")

_ONE = {"feature_similarity": 1.0, "code_similarity": 1.0, "cross_similarity": 1.0}
_TEN = {"feature_similarity": 10.0, "code_similarity": 10.0, "cross_similarity": 10.0}
_VARIANTS = {
    "default": {},
    "similarity terms x 1": _ONE,
    "similarity terms x 10": _TEN,
    "likelihood of sharing a label, x 1": {"similarity_form": "likelihood", **_ONE},
    "pairs not balanced": {"balance_pairs": False},
    "no instance term": {"instance": 0.0},
    "instance term x 2": {"instance": 1.2},
    "no local term": {"local": 0.0},
    "no adversary": {"adversarial": 0.0},
    "neither local term nor adversary": {"local": 0.0, "adversarial": 0.0},
    "no classification": {"classification": 0.0},
    "no quantization, no bit balance": {"quantization": 0.0, "bit_balance": 0.0},
}


def main(_):
    cache = _CACHE.value or default_cache()
    print("# Single terms and weights on validation\n")
    print("`python benchmarks/terms.py --root <fashion folder>`\n")
    print(
        f"{platform.machine()}, {num_cores()} cores, TensorFlow {versions()['tensorflow']}. "
        "Tie-averaged MAP@all of 2,000 validation items against the whole database, 64 bits; "
        "coarse: shares a label, fine: same articleType.\n"
    )
    print("| variant | seed | coarse I->T | coarse T->I | fine I->T | fine T->I | train s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in [each for each in _VARIANTS if each not in _SKIP.value]:
        for seed in _SEEDS.value:
            run, results = _run(name, _VARIANTS[name], int(seed), cache)
            directions = results["directions"]
            both = [directions["image_to_text"], directions["text_to_image"]]
            cells = [each["map"] for each in both]
            cells += [each["by_label_group"]["articleType"]["map"] for each in both]
            scores = " | ".join(f"{cell:.3f}" for cell in cells)
            seconds = run.require_finished()["seconds"]["train"]
            print(f"| {name} | {seed} | {scores} | {seconds:.0f} |", flush=True)


def _run(name: str, loss: dict, seed: int, cache) -> tuple[RunFolder, dict]:
    tables = {
        **CATALOGUE["fashion"].defaults,
        "loss": loss,
        "training": {"seed": seed},
    }
    tables["data"] = {**tables["data"], "dataset": "fashion", "root": _ROOT.value}
    folder = name.replace(" ", "-").replace(",", "").replace(".", "")
    out = Path(_OUT.value) / f"{folder}-{seed}"
    run = fit(override(Config(), tables), out, cache, resume=True)
    done = run.path / "results_validation.json"
    if done.is_file():
        return run, json.loads(done.read_text(encoding="utf-8"))
    return run, evaluate(run, cache, role="validation")


if __name__ == "__main__":
    app.run(main)
