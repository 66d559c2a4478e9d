"""What training costs as items grow: seconds an epoch, memory, seconds to a validation MAP of 0.90.

python benchmarks/cost.py --root <fashion folder> > docs/results/cost.md

Each size is a process of its own, on cached features of the frozen image body.
"""

import json
import resource
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

from udsph_tf.config_tables import assignment_tables, merge_tables
from udsph_tf.training import RunFolder, config_for, fit
from udsph_tf.training.preparation import default_cache
from udsph_tf.training.run_folder import machine, versions

_ROOT = flags.DEFINE_string("root", None, "the fashion folder", required=True)
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_SIZES = flags.DEFINE_list("sizes", ["5000", "10000", "20000", "33983"], "training items")
_EPOCHS = flags.DEFINE_integer("epochs", 6, "epochs of a size")
_SET = flags.DEFINE_multi_string("set", [], "section.key=value over the default configuration")
_ONE = flags.DEFINE_integer("one", None, "measure this size alone and print JSON")


def main(_):
    if _ONE.value:
        print(json.dumps(_measure(_ONE.value)))
        return
    print("# What training costs as items grow\n")
    command = "python benchmarks/cost.py --root <fashion folder>"
    print(f"`{' '.join([command, *(f'--set {each}' for each in _SET.value)])}`\n")
    print(
        f"{machine()}, TensorFlow {versions()['tensorflow']}. "
        "`fashion`, 64 bits, default configuration, cached features; the first epoch, which holds "
        "the tracing of graphs, is left out of the mean; without the stage `refine`. Time to 0.90 "
        "counts the label net, every epoch and every validation until the mean validation MAP "
        "reaches it.\n"
    )
    print("| training items | s an epoch | us an item | peak memory GB | s to MAP 0.90 | epoch |")
    print("|---|---|---|---|---|---|", flush=True)
    for size in _SIZES.value:
        done = subprocess.run(
            [sys.executable, *sys.argv, "--one", size], stdout=subprocess.PIPE, check=True
        )
        one = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {one['items']:,} | {one['epoch']:.2f} | {1e6 * one['epoch'] / one['items']:.0f} | "
            f"{one['memory']:.2f} | {one['seconds_to_090']} | {one['epoch_of_090']} |",
            flush=True,
        )


def _measure(size: int) -> dict:
    own = {
        "data": {"root": _ROOT.value, "num_train": size},
        "training": {
            "separate_epochs": 2,
            "joint_epochs": _EPOCHS.value - 2,
            "refine_epochs": 0,  # of another cost: seconds, whatever the number of items
        },
    }
    config = config_for("fashion", merge_tables(own, *assignment_tables(_SET.value)))
    with tempfile.TemporaryDirectory() as folder:
        run: RunFolder = fit(config, f"{folder}/run", _CACHE.value or default_cache())
        history, state = run.read_history(), run.require_finished()
    reached = [
        each for each in history if (each["image_to_text"] + each["text_to_image"]) / 2 >= 0.9
    ]
    return {
        "items": size,
        "epoch": float(np.mean([each["seconds"] for each in history[1:]])),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "seconds_to_090": round(reached[0]["elapsed"], 1) if reached else "not reached",
        "epoch_of_090": reached[0]["epoch"] if reached else f"> {state['best_epoch']}",
    }


if __name__ == "__main__":
    app.run(main)
