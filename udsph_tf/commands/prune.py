"""`udsph prune`: delete items from an index, and put it in order."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, print_json
from udsph_tf.commands.places import IN_MILVUS, milvus_place, open_place

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
    parser.add_argument(
        "--index", required=True, metavar="DIR", help=f"an index folder, {IN_MILVUS}"
    )
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
    from udsph_tf.search import compact_index, delete_items

    ids = list(args.delete)
    if args.delete_from:
        ids += Path(args.delete_from).read_text(encoding="utf-8").splitlines()
    if not ids and not args.compact:
        raise ValueError("Give ids with --delete or --delete-from, or --compact")
    if milvus_place(args.index):
        if args.compact:
            raise ValueError(
                "--compact is for folders: Milvus puts its collections in order itself"
            )
        index = open_place(args.index)
        deleted = index.delete(ids, missing_ok=args.missing_ok)
        _report(args, deleted, len(index))
        return
    deleted = delete_items(args.index, ids, missing_ok=args.missing_ok)
    if args.compact:
        compact_index(args.index)
    _report(args, deleted, len(open_place(args.index)))


def _report(args: argparse.Namespace, deleted: int, left: int) -> None:
    if args.json:
        print_json({"index": args.index, "deleted": deleted, "items": left})
    else:
        print(f"{deleted:,} items deleted from {args.index}, {left:,} left")
