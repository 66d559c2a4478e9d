"""Tables of whole runs: every variant of an experiment file, over several seeds.

python benchmarks/quality.py --experiment benchmarks/quality/fashion.toml --root <fashion folder>

An experiment is a TOML file: `dataset`, `seeds`, `role` (query, or validation while something is
still being chosen), `set` (tables of the configuration that all its variants share), `variants`
(tables by name) and, for an ablation, `baseline`: the variant that the others are compared with,
seed by seed. Writes `<name>.md`, `<name>.json` and `<name>.png` (validation MAP after each epoch)
into docs/results. What is in that JSON already, of an equal configuration, is not run again, so a
table can grow over several sittings: `--seeds 0 --variants 'nested.*'` adds a part of it.
"""

import hashlib
import json
import platform
import re
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure

from udsph_tf.config import Config, override
from udsph_tf.data import CATALOGUE
from udsph_tf.files import write_text, writing
from udsph_tf.litert import num_cores
from udsph_tf.training import RunFolder, evaluate, fit
from udsph_tf.training.preparation import default_cache
from udsph_tf.training.run_folder import versions

_EXPERIMENT = flags.DEFINE_string("experiment", None, "the experiment's TOML file", required=True)
_ROOT = flags.DEFINE_string("root", "", "the data set's folder")
_RUNS = flags.DEFINE_string("runs", "runs/quality", "folder of the runs")
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_RESULTS = flags.DEFINE_string("results", "docs/results", "folder of the tables")
_SEEDS = flags.DEFINE_multi_integer("seeds", [], "the seeds to run; all, if none is named")
_VARIANTS = flags.DEFINE_string("variants", ".*", "pattern of the names of the variants to run")

_T_QUANTILE = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Two-sided 95 % quantile of Student's t for so many paired seeds."""


def main(_):
    path = Path(_EXPERIMENT.value)
    experiment = tomllib.loads(path.read_text(encoding="utf-8"))
    stored = Path(_RESULTS.value) / f"{path.stem}.json"
    known = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.is_file() else []
    known = {(each["variant"], each["seed"], each["configuration"]): each for each in known}
    # Seed by seed, so that a table that is not complete yet has every variant.
    planned = {}
    for seed in experiment["seeds"]:
        for name, variant in experiment["variants"].items():
            config = _config(variant, seed, experiment)
            planned[name, seed, _digest(config)] = config
    runs = {key: known[key] for key in planned if key in known}
    for key, config in planned.items():
        name, seed, _ = key
        asked = seed in (_SEEDS.value or experiment["seeds"])
        if key not in runs and asked and re.fullmatch(_VARIANTS.value, name):
            runs[key] = _run(config, path.stem, experiment["role"], *key)
            _write(path, experiment, list(runs.values()))
            print(f"{name}, seed {seed}: done", flush=True)
    _write(path, experiment, list(runs.values()))


def _config(variant: dict, seed: int, experiment: dict) -> Config:
    config = Config()
    own = {
        "data": {"dataset": experiment["dataset"], "root": _ROOT.value},
        "training": {"seed": seed},
    }
    defaults = CATALOGUE[experiment["dataset"]].defaults
    for tables in (defaults, experiment.get("set", {}), variant, own):
        config = override(config, tables)
    return config


def _digest(config: Config) -> str:
    """Of everything that is set, but for where the data lies."""
    anywhere = override(config, {"data": {"root": ""}})
    return hashlib.sha256(json.dumps(asdict(anywhere)).encode()).hexdigest()[:16]


def _run(config: Config, experiment: str, role: str, name: str, seed: int, digest: str) -> dict:
    """One trained and scored run, as it is stored."""
    folder = "".join(each if each.isalnum() else "-" for each in name)
    out = Path(_RUNS.value) / experiment / f"{folder}-{seed}-{digest}"
    run = fit(config, out, _CACHE.value or default_cache(), resume=True)
    lines = run.history.read_text(encoding="utf-8").splitlines()
    history = [json.loads(line) for line in lines]
    rows = _scores(name, seed, run, role)
    for row in rows:
        row["scores"]["discriminator accuracy"] = _accuracy(history)
    curve = [(each["image_to_text"] + each["text_to_image"]) / 2 for each in history]
    return {
        "variant": name,
        "seed": seed,
        "configuration": digest,
        "rows": rows,
        "validation_map_by_epoch": curve,
    }


def _scores(name: str, seed: int, run: RunFolder, role: str) -> list[dict]:
    """One row for each code length of a run."""
    done = run.path / ("results.json" if role == "query" else f"results_{role}.json")
    if done.is_file():
        results = json.loads(done.read_text(encoding="utf-8"))
    else:
        results = evaluate(run, _CACHE.value or default_cache(), role=role)
    by_length = {**results["shorter"], str(results["num_bits"]): results["directions"]}
    seconds = run.require_finished()["seconds"]["train"]
    rows = []
    for num_bits, directions in by_length.items():
        scores = {"train s": seconds}
        for short, asked, found in (("I->T", "image", "text"), ("T->I", "text", "image")):
            one = directions[f"{asked}_to_{found}"]
            scores[f"MAP {short}"] = one["map"]
            for group, each in one.get("by_label_group", {}).items():
                scores[f"{group} MAP {short}"] = each["map"]
            scores[f"NDCG@100 {short}"] = one["ndcg_exponential_at_k"]["100"]
            scores[f"own item R@1 {short}"] = one["own_item_recall_at_k"]["1"]
            scores[f"own item R@10 {short}"] = one["own_item_recall_at_k"]["10"]
            scores[f"MAP {short[0]}->item"] = directions[f"{asked}_to_item"]["map"]
        rows.append({"variant": name, "num_bits": int(num_bits), "seed": seed, "scores": scores})
    return rows


def _accuracy(history: list[dict]) -> float | None:
    """Of both discriminators in the last five epochs; None without an adversary."""
    names = ("image_discriminator_accuracy", "text_discriminator_accuracy")
    values = [line[name] for line in history[-5:] for name in names if name in line]
    return float(np.mean(values)) if values else None


def _write(path: Path, experiment: dict, runs: list[dict]) -> None:
    if not runs:
        raise app.UsageError("No variant and seed of the experiment has these names")
    rows, curves = [row for run in runs for row in run["rows"]], {}
    for run in runs:
        curves.setdefault(run["variant"], []).append(run["validation_map_by_epoch"])
    command = f"python benchmarks/quality.py --experiment {path} --root <{experiment['dataset']}>"
    machine = f"{platform.machine()}, {num_cores()} cores"
    results = Path(_RESULTS.value)
    results.mkdir(parents=True, exist_ok=True)
    content = {
        "command": command,
        "machine": machine,
        "versions": versions(),
        "experiment": experiment,
        "runs": runs,
    }
    write_text(results / f"{path.stem}.json", json.dumps(content, indent=1) + "\n")
    measures = [each for each in experiment["measures"] if each in rows[0]["scores"]]
    seeds = ", ".join(str(seed) for seed in experiment["seeds"])
    lines = [
        f"# {experiment['title']}\n",
        f"`{command}`\n",
        f"{machine}, TensorFlow {versions()['tensorflow']}. Data set `{experiment['dataset']}`, "
        f"{experiment['role']} items against the whole database; mean of seeds (of {seeds}), "
        "deviation between seeds in brackets. MAP@all is tie-averaged, NDCG has gain "
        "2^shared labels - 1; I->T: image asks, text is found.\n",
        "| variant | bits | seeds | " + " | ".join(measures) + " |",
        "|---" * (3 + len(measures)) + "|",
    ]
    groups: dict[tuple, list[dict]] = {}
    order = list(experiment["variants"])
    for row in sorted(rows, key=lambda row: (order.index(row["variant"]), row["num_bits"])):
        groups.setdefault((row["variant"], row["num_bits"]), []).append(row)
    for (name, num_bits), group in groups.items():
        cells = [_cell(group, measure) for measure in measures]
        lines.append(f"| {name} | {num_bits} | {len(group)} | " + " | ".join(cells) + " |")
    lines += _differences(groups, measures, experiment.get("baseline"))
    lines.append(f"\n![Validation MAP after each epoch]({path.stem}.png)")
    write_text(results / f"{path.stem}.md", "\n".join(lines) + "\n")
    _draw(results / f"{path.stem}.png", curves)


def _cell(group: list[dict], measure: str) -> str:
    values = [row["scores"][measure] for row in group]
    if None in values:
        return "-"
    if measure.endswith(" s"):
        return f"{np.mean(values):.0f}"
    deviation = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def _differences(groups: dict, measures: list[str], baseline: str | None) -> list[str]:
    """Variant minus baseline, paired by seed, with its 95 % interval by Student's t."""
    if baseline is None:
        return []
    measures = [each for each in measures if not each.endswith((" s", "accuracy"))]
    lines = [
        f"\nDifference to {baseline}, paired by seed, with its 95 % interval (Student's t):\n",
        "| variant | bits | " + " | ".join(measures) + " |",
        "|---" * (2 + len(measures)) + "|",
    ]
    for (name, num_bits), group in groups.items():
        reference = {row["seed"]: row["scores"] for row in groups.get((baseline, num_bits), [])}
        pairs = [
            (row["scores"], reference[row["seed"]]) for row in group if row["seed"] in reference
        ]
        if name == baseline or len(pairs) < 2:
            continue
        cells = []
        for measure in measures:
            change = [one[measure] - other[measure] for one, other in pairs]
            half = _T_QUANTILE[len(change)] * np.std(change, ddof=1) / np.sqrt(len(change))
            cells.append(f"{np.mean(change):+.3f} ± {half:.3f}")
        lines.append(f"| {name} | {num_bits} | " + " | ".join(cells) + " |")
    return lines


def _draw(path: Path, curves: dict) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, seeds in curves.items():
        length = min(len(each) for each in seeds)
        mean = np.mean([each[:length] for each in seeds], axis=0)
        axes.plot(np.arange(1, length + 1), mean, label=name)
    axes.set(xlabel="epoch", ylabel="validation MAP, mean of both directions and seeds")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    with writing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    app.run(main)
