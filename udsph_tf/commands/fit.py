"""`udsph fit`: train the two hashers."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import cache_flag, command, print_json
from udsph_tf.config import Config, read_tables
from udsph_tf.config_tables import assignment_tables, merge_tables

__all__ = ["add", "run"]

# Keys that may name a file, which is then kept with its whole path.
_FILES = (
    ("data", "labels"),
    ("data", "root"),
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
    parser.add_argument(
        "--config", metavar="FILE", help="TOML over the data set's defaults; flags override it"
    )
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
        measure, score = run_folder.validation_score()
        best = "Last epoch kept" if score is None else f"Best epoch {finished['best_epoch']}"
        held_back = "no item held back"
        if score is not None:
            held_back = f"validation {measure} {score:.4f}"
        print(
            f"{best}, {held_back}\nRun folder {run_folder.path}\n"
            f"Next: udsph evaluate --run {run_folder.path}"
        )


def _config(args) -> Config:
    from udsph_tf.training import config_for

    flags = {
        ("data", "dataset"): args.dataset,
        ("data", "root"): args.root,
        ("loss", "nested"): args.nested,
        ("network", "num_bits"): args.bits or (args.nested and args.nested.split(",")[-1]),
        ("training", "seed"): args.seed,
        ("training", "finetune"): args.finetune,
    }
    given = [
        {section: {name: value}} for (section, name), value in flags.items() if value is not None
    ]
    read = read_tables(args.config) if args.config else {}
    tables = merge_tables(read, *assignment_tables(args.set or ()), *given)
    for section, name in _FILES:
        value = tables.get(section, {}).get(name)
        # A run is read again from any folder; a name that is no file may be a preset's.
        if value and (section == "data" or Path(value).exists()):
            tables[section][name] = str(Path(value).resolve())
    return config_for(tables.get("data", {}).get("dataset", Config().data.dataset), tables)
