"""Tables of whole runs: every variant of an experiment file, over several seeds.

python benchmarks/quality.py --experiment benchmarks/quality/fashion.toml --root <fashion folder>

An experiment is a TOML file: `dataset`, `seeds`, `role` (query, or validation while something is
still being chosen), `set` (tables of the configuration that all its variants share), `variants`
(tables by name) and, for an ablation, `baseline`: the variant that the others are compared with,
seed by seed. Writes `<name>.md`, `<name>.json` and `<name>.png` (validation score after each epoch)
into docs/results. What is in that JSON already, of an equal configuration, is not run again, so a
table can grow over several sittings: `--seeds 0 --variants 'nested.*'` adds a part of it.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import asdict
from pathlib import Path

from absl import app, flags
from quality_tables import equal_settings, run_rows, write_tables

from udsph_tf.config import Config, override
from udsph_tf.config_tables import merge_tables
from udsph_tf.training import RunFolder, config_for, evaluate, fit
from udsph_tf.training.preparation import default_cache
from udsph_tf.training.run_folder import machine, versions

_EXPERIMENT = flags.DEFINE_string("experiment", None, "the experiment's TOML file", required=True)
_ROOT = flags.DEFINE_string("root", "", "the data set's folder")
_RUNS = flags.DEFINE_string("runs", "runs/quality", "folder of the runs")
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_RESULTS = flags.DEFINE_string("results", "docs/results", "folder of the tables")
_SEEDS = flags.DEFINE_multi_integer("seeds", [], "the seeds to run; all, if none is named")
_VARIANTS = flags.DEFINE_string("variants", ".*", "pattern of the names of the variants to run")


def main(_):
    path, results = Path(_EXPERIMENT.value), Path(_RESULTS.value)
    experiment = tomllib.loads(path.read_text(encoding="utf-8"))
    stored = results / f"{path.stem}.json"
    known = json.loads(stored.read_text(encoding="utf-8"))["runs"] if stored.is_file() else []
    # Seed by seed, so that a table that is not complete yet has every variant.
    planned = [(name, seed) for seed in experiment["seeds"] for name in experiment["variants"]]
    runs = {
        (each["variant"], each["seed"]): each
        for each in known
        if (each["variant"], each["seed"]) in planned and _is_current(each, experiment)
    }
    for name, seed in planned:
        asked = seed in (_SEEDS.value or experiment["seeds"])
        if asked and (name, seed) not in runs and re.fullmatch(_VARIANTS.value, name):
            runs[name, seed] = _run(experiment, path.stem, name, seed)
            _write(path, experiment, runs, planned)
            print(f"{name}, seed {seed}: done", flush=True)
    _write(path, experiment, runs, planned)


def _is_current(stored: dict, experiment: dict) -> bool:
    settings = _settings(_config(experiment, stored["variant"], stored["seed"]))
    return equal_settings(stored["configuration"], settings, _settings(Config()))


def _config(experiment: dict, name: str, seed: int) -> Config:
    own = {"data": {"root": _ROOT.value}, "training": {"seed": seed}}
    tables = merge_tables(experiment.get("set", {}), experiment["variants"][name], own)
    return config_for(experiment["dataset"], tables)


def _settings(config: Config) -> dict:
    """Everything that is set, but for where the data lies."""
    return asdict(override(config, {"data": {"root": ""}}))


def _run(experiment: dict, table: str, name: str, seed: int) -> dict:
    """One trained and scored run, as it is stored."""
    config, cache = _config(experiment, name, seed), _CACHE.value or default_cache()
    settings = _settings(config)
    folder = "".join(each if each.isalnum() else "-" for each in name)
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    run = fit(config, Path(_RUNS.value) / table / f"{folder}-{seed}-{digest}", cache, resume=True)
    history = run.read_history()
    scored = [line["score"] for line in history if line["score"] is not None]
    return {
        "variant": name,
        "seed": seed,
        "configuration": settings,
        "machine": machine(),
        "versions": versions(),
        "rows": run_rows(
            _results(run, experiment["role"], cache),
            history,
            train_seconds=run.require_finished()["seconds"]["train"],
        ),
        "validation_score_by_epoch": scored,
    }


def _results(run: RunFolder, role: str, cache: str) -> dict:
    """What `udsph evaluate` writes, computed once."""
    name = "results" if role == "query" else f"results_{role}"
    return run.read_json(name) or evaluate(run, cache, role=role)


def _write(path: Path, experiment: dict, runs: dict, planned: list) -> None:
    if not runs:
        raise app.UsageError("No variant and seed of the experiment has these names")
    command = f"python benchmarks/quality.py --experiment {path} --root <{experiment['dataset']}>"
    in_order = [runs[key] for key in planned if key in runs]
    write_tables(Path(_RESULTS.value), path.stem, command, experiment, in_order)


if __name__ == "__main__":
    app.run(main)
