"""Query MAP of the two small data sets with their own defaults: a Markdown table, a row a run.

python benchmarks/small_sets.py --wikipedia <folder> --mirflickr724 <folder> --out runs/small-sets

A data set without its folder is left out. Runs that have ended are not run or evaluated again.
Everything was chosen on validation items; query items are for this table alone.
"""

import json
import platform
from pathlib import Path

from absl import app, flags

from udsph_tf.config import Config, override
from udsph_tf.data import CATALOGUE
from udsph_tf.litert import num_cores
from udsph_tf.training import evaluate, fit
from udsph_tf.training.preparation import default_cache
from udsph_tf.training.run_folder import versions

_SETS = ("wikipedia", "mirflickr724")
_ROOTS = {name: flags.DEFINE_string(name, None, f"the folder of {name}") for name in _SETS}
_OUT = flags.DEFINE_string("out", "runs/small-sets", "folder of the runs")
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_BITS = flags.DEFINE_list("bits", ["16", "32", "64"], "code lengths")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "training seeds")


def main(_):
    print(
        f"{platform.machine()}, {num_cores()} cores, TensorFlow {versions()['tensorflow']}. "
        "Tie-averaged MAP@all of query items, with its 95% bootstrap interval over them.\n"
    )
    print("| data set | bits | seed | query / database | I->T | T->I | train s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in _SETS:
        if _ROOTS[name].value is None:
            continue
        for bits in _BITS.value:
            for seed in _SEEDS.value:
                print(_row(name, int(bits), int(seed)), flush=True)


def _row(name: str, bits: int, seed: int) -> str:
    tables = {"network": {"num_bits": bits}, "training": {"seed": seed}}
    root = str(Path(_ROOTS[name].value).resolve())
    config = override(Config(), CATALOGUE[name].defaults)
    config = override(config, {**tables, "data": {"dataset": name, "root": root}})
    cache = _CACHE.value or default_cache()
    run = fit(config, Path(_OUT.value) / f"{name}-{bits}-{seed}", cache, resume=True)
    if run.results.is_file():
        results = json.loads(run.results.read_text(encoding="utf-8"))
    else:
        results = evaluate(run, cache)
    cells = []
    for direction in ("image_to_text", "text_to_image"):
        each = results["summary"][direction]
        low, high = each["map_interval"]
        cells.append(f"{each['map']:.3f} [{low:.3f}, {high:.3f}]")
    counts = results["counts"]
    sizes = f"{counts['query']:,} / {counts['database']:,}"
    seconds = run.require_finished()["seconds"]["train"]
    return f"| {name} | {bits} | {seed} | {sizes} | {' | '.join(cells)} | {seconds:.0f} |"


if __name__ == "__main__":
    app.run(main)
