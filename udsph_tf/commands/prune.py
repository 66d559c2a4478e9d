"""`udsph prune`: delete items from an index, and put it in order."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "prune",
        run,
        "delete items from an index, and put it in order",
        "udsph prune --index index/fashion --delete 1163 1164 --compact",
    )
    parser.add_argument("--index", required=True, metavar="DIR", help="an index folder")
    parser.add_argument("--delete", nargs="+", default=[], metavar="ID", help="ids of items")
    parser.add_argument("--delete-from", metavar="FILE", help="a file of ids, one a line")
    parser.add_argument(
        "--missing-ok", action="store_true", help="pass over ids that are not in the index"
    )
    parser.add_argument(
        "--compact",
        action="store_true",
        help="write the index anew: one shard, without what was deleted",
    )


def run(args: argparse.Namespace) -> None:
    """Delete items and compact the index."""
    from udsph_tf.search import compact_index, delete_items, open_index

    ids = list(args.delete)
    if args.delete_from:
        ids += Path(args.delete_from).read_text(encoding="utf-8").splitlines()
    if not ids and not args.compact:
        raise ValueError("Give ids with --delete or --delete-from, or --compact")
    deleted = delete_items(args.index, ids, missing_ok=args.missing_ok)
    if args.compact:
        compact_index(args.index)
    left = len(open_index(args.index, verify=False))
    if args.json:
        print_json({"index": args.index, "deleted": deleted, "items": left})
    else:
        print(f"{deleted:,} items deleted from {args.index}, {left:,} left")
