"""Which items a command encodes or indexes: the database of a run, or a whole data set."""

import argparse
import logging
from pathlib import Path

__all__ = ["chosen_collection", "collection_flags"]


def collection_flags(parser: argparse.ArgumentParser, *, artefacts_needed: bool = True) -> None:
    """Add `--artefacts`, `--run`, `--dataset` and `--root`."""
    parser.add_argument(
        "--artefacts", required=artefacts_needed, metavar="DIR", help="an export folder"
    )
    parser.add_argument("--run", metavar="DIR", help="take the database items of this run")
    parser.add_argument("--dataset", help="take every item of this data set")
    parser.add_argument("--root", metavar="DIR", help="the data set's folder")


def chosen_collection(args: argparse.Namespace):
    """The `Pairs` that the flags name.

    Raises:
        ValueError: they name none, or two.
    """
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
