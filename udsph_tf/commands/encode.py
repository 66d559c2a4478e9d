"""`udsph encode`: encode a collection into Parquet files."""

import argparse

from udsph_tf.commands.collection import chosen_collection, collection_flags
from udsph_tf.commands.parsing import command, positive, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "encode",
        run,
        "encode a collection into Parquet files, here or by Apache Beam; started again, it goes on",
        "udsph encode --artefacts artefacts/mine --dataset manifest --root pictures --out codes",
    )
    collection_flags(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder of the files")
    parser.add_argument(
        "--part-items", type=positive, default=4096, metavar="N", help="items of a file (4096)"
    )
    parser.add_argument(
        "--variant",
        default="float32",
        choices=("float32", "saved_model"),
        help="which form of the encoders runs: float32, by LiteRT, the fast one on CPUs, or "
        "saved_model, by TensorFlow, for accelerators (float32)",
    )
    parser.add_argument(
        "--runner",
        metavar="NAME",
        help="DirectRunner, PrismRunner, FlinkRunner, SparkRunner or DataflowRunner of Apache Beam "
        "(none: this process alone)",
    )
    parser.add_argument(
        "--runner-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the runner, such as flink_master=localhost:8081; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="delete codes that are there")


def run(args: argparse.Namespace) -> None:
    """Encode a collection."""
    from udsph_tf.serving import encode_pairs

    if args.runner_option and not args.runner:
        raise ValueError("--runner-option goes with --runner")
    number, left_out = encode_pairs(
        chosen_collection(args),
        args.artefacts,
        args.out,
        part_items=args.part_items,
        variant=args.variant,
        runner=args.runner,
        runner_options=args.runner_option,
        overwrite=args.overwrite,
    )
    if args.json:
        print_json({"out": args.out, "items": number, "left_out": [vars(p) for p in left_out]})
    else:
        print(f"{number:,} items encoded in {args.out}, {len(left_out)} left out")
