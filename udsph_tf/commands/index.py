"""`udsph index`: encode a collection and index its codes."""

import argparse
import logging
from pathlib import Path

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "index",
        run,
        "encode a collection and index its codes",
        "udsph index --artefacts artefacts/fashion --run runs/fashion --out index/fashion",
    )
    parser.add_argument("--artefacts", required=True, metavar="DIR", help="an export folder")
    parser.add_argument("--run", metavar="DIR", help="index the database items of this run")
    parser.add_argument("--dataset", help="index every item of this data set")
    parser.add_argument("--root", metavar="DIR", help="the data set's folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="the index folder to make")
    parser.add_argument(
        "--kind",
        default="exact",
        choices=("exact", "ivf", "hnsw", "multihash"),
        help="exact, or approximate for many millions; see docs/results/search.md (exact)",
    )
    parser.add_argument("--add", action="store_true", help="add to the index that is in --out")
    parser.add_argument(
        "--replace", action="store_true", help="with --add: put items in place of equal ids"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing index")


def run(args: argparse.Namespace) -> None:
    """Encode and index a collection."""
    from udsph_tf.serving import index_pairs

    if args.add and (args.overwrite or args.kind != "exact"):
        raise ValueError(
            "--add keeps the index as it is, so neither --overwrite nor --kind goes with it"
        )
    if args.replace and not args.add:
        raise ValueError("--replace goes with --add; --overwrite replaces the whole index")
    number, left_out = index_pairs(
        _pairs_to_index(args),
        args.artefacts,
        args.out,
        kind=args.kind,
        add=args.add,
        replace=args.replace,
        overwrite=args.overwrite,
    )
    if args.json:
        print_json({"out": args.out, "items": number, "left_out": [vars(p) for p in left_out]})
    else:
        print(f"{number:,} items indexed in {args.out}, {len(left_out)} left out")


def _pairs_to_index(args):
    from udsph_tf.config import DataConfig
    from udsph_tf.data import read_pairs
    from udsph_tf.training.material import run_pairs
    from udsph_tf.training.run_folder import RunFolder

    if bool(args.run) == bool(args.dataset):
        raise ValueError("Give either --run (its database items) or --dataset (all its items)")
    if args.run:
        if args.root:
            raise ValueError("--root belongs to --dataset; a run knows the root of its own data")
        run_folder = RunFolder(Path(args.run))
        run_folder.require_finished()
        pairs = run_pairs(run_folder)
        return pairs.take(pairs.indices("database"))
    root = str(Path(args.root).resolve()) if args.root else ""
    pairs, problems = read_pairs(DataConfig(dataset=args.dataset, root=root))
    for problem in problems:
        logging.warning("Skipping %s: %s", problem.id, problem.reason)
    return pairs
