"""`udsph index`: encode a collection and index its codes."""

import argparse

from udsph_tf.commands.collection import chosen_collection, collection_flags
from udsph_tf.commands.parsing import command, print_json
from udsph_tf.commands.places import IN_MILVUS, milvus_place

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
    collection_flags(parser, artefacts_needed=False)
    parser.add_argument(
        "--codes", metavar="DIR", help="index what `udsph encode` has written, in place of these"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help=f"the index folder to make, {IN_MILVUS}"
    )
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
    from udsph_tf.serving import IndexOptions, index_codes, index_codes_in_milvus, index_pairs

    options = IndexOptions(args.kind, args.add, args.replace, args.overwrite)
    if args.codes:
        if args.artefacts or args.run or args.dataset or args.root:
            raise ValueError("--codes are encoded already: nothing else goes with them")
        place = milvus_place(args.out)
        if place:
            number, left_out = index_codes_in_milvus(args.codes, *place, options)
        else:
            number, left_out = index_codes(args.codes, args.out, options)
    elif milvus_place(args.out):
        raise ValueError("Into Milvus go --codes, which `udsph encode` writes")
    else:
        if not args.artefacts:
            raise ValueError("Give --artefacts, an export folder; or --codes")
        number, left_out = index_pairs(chosen_collection(args), args.artefacts, args.out, options)
    if args.json:
        print_json({"out": args.out, "items": number, "left_out": [vars(p) for p in left_out]})
    else:
        print(f"{number:,} items indexed in {args.out}, {len(left_out)} left out")
