"""`udsph fit`: train the two hashers."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import cache_flag, command, print_json
from udsph_tf.config import Config, load_config, nearest, override

__all__ = ["add", "run"]

# Keys that may name a file, which is then kept with its whole path.
_FILES = (
    ("data", "labels"),
    ("data", "split"),
    ("image", "preset"),
    ("image", "weights"),
    ("text", "preset"),
    ("text", "vectors"),
)


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "fit",
        run,
        "train the two hashers",
        "udsph fit --dataset fashion --root ~/fashion --bits 64 --out runs/fashion",
    )
    parser.add_argument("--config", metavar="FILE", help="a TOML file; flags override it")
    parser.add_argument("--dataset", help="what to read; `udsph datasets` lists the names")
    parser.add_argument("--root", metavar="DIR", help="the data set's folder")
    parser.add_argument("--bits", metavar="K", help="code length, a positive multiple of 8 (64)")
    parser.add_argument(
        "--nested",
        metavar="K,K,...",
        help="lengths, such as 16,32,64: the first so many bits are good codes by themselves",
    )
    parser.add_argument("--seed", metavar="N", help="seed of training (0)")
    parser.add_argument(
        "--finetune",
        choices=("image", "text", "both"),
        help="train these frozen bodies too, after their hashers",
    )
    parser.add_argument("--out", metavar="DIR", help="run folder (runs/<dataset>-<bits>)")
    parser.add_argument(
        "--set",
        action="append",
        metavar="SECTION.KEY=VALUE",
        help="override one key of the configuration; may be repeated",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    cache_flag(parser)


def run(args: argparse.Namespace) -> None:
    """Train a run."""
    from udsph_tf.training import fit
    from udsph_tf.training.preparation import default_cache

    config = _config(args)
    out = args.out or f"runs/{config.data.dataset}-{config.network.num_bits}"
    run_folder = fit(config, out, args.cache or default_cache(), resume=args.resume)
    finished = run_folder.require_finished()
    if args.json:
        print_json({"run": str(run_folder.path), **finished})
    else:
        score = finished["validation_map"]
        best = "Last epoch kept" if score is None else f"Best epoch {finished['best_epoch']}"
        measure = finished.get("validation_measure", "MAP")
        held_back = "no item held back" if score is None else f"validation {measure} {score:.4f}"
        print(
            f"{best}, {held_back}\nRun folder {run_folder.path}\n"
            f"Next: udsph evaluate --run {run_folder.path}"
        )


def _config(args) -> Config:
    from udsph_tf.data import CATALOGUE

    tables = _assignments(args.set or ())
    if args.config:
        config = load_config(args.config)
    else:
        name = args.dataset or Config().data.dataset
        if name not in CATALOGUE:
            raise ValueError(f"Unknown data set `{name}`.{nearest(name, CATALOGUE)}")
        config = _suited(CATALOGUE[name].defaults, tables)
        if not tables.get("data", {}).get("labels"):
            config = override(config, CATALOGUE[name].unlabelled)
    flags = {
        ("data", "dataset"): args.dataset,
        ("data", "root"): args.root and str(Path(args.root).resolve()),
        ("loss", "nested"): args.nested,
        ("network", "num_bits"): args.bits or (args.nested and args.nested.split(",")[-1]),
        ("training", "seed"): args.seed,
        ("training", "finetune"): args.finetune,
    }
    for (section, name), value in flags.items():
        if value is not None:
            tables.setdefault(section, {})[name] = value
    for section, name in _FILES:
        value = tables.get(section, {}).get(name)
        # A run is read again from any folder; a name that is no file may be a preset's.
        if value and (section == "data" or Path(value).exists()):
            tables[section][name] = str(Path(value).resolve())
    return override(config, tables)


def _assignments(given: list[str]) -> dict[str, dict]:
    tables: dict[str, dict] = {}
    for assignment in given:
        key, equals, value = assignment.partition("=")
        section, dot, name = key.partition(".")
        if not equals or not dot:
            raise ValueError(
                f"--set takes section.key=value, such as loss.local=0. Received: {assignment!r}"
            )
        tables.setdefault(section, {})[name] = value
    return tables


def _suited(defaults: dict, tables: dict) -> Config:
    """The data set's defaults, those of another body where one is chosen, and that body."""
    from udsph_tf.training.body_defaults import BODY_KEYS, body_defaults

    defaults, own = dict(defaults), override(Config(), defaults)
    for section, of_body in BODY_KEYS.items():
        body = tables.get(section, {}).get("body")
        if body is not None and body != getattr(own, section).body:
            # What the data set says of its own body, such as its size, does not suit another.
            kept = {
                key: each for key, each in defaults.get(section, {}).items() if key not in of_body
            }
            defaults[section] = {**kept, **body_defaults(section, body)}
    return override(Config(), defaults)
