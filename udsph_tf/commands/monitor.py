"""`udsph monitor`: what the codes of an index look like, and whether new items look like them."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "monitor",
        run,
        "look after the codes of an index, and whether those of new items drift away",
        "udsph monitor --index index/fashion --new index/this-week --plots plots",
    )
    parser.add_argument("--index", required=True, metavar="DIR", help="an index folder")
    parser.add_argument(
        "--new", metavar="DIR", help="an index folder of new items, made by the same model"
    )
    parser.add_argument(
        "--false-alarms",
        type=float,
        default=0.01,
        metavar="RATE",
        help="how often drift may be reported where there is none (0.01)",
    )
    parser.add_argument("--plots", metavar="DIR", help="write bits.png and distances.png there")


def run(args: argparse.Namespace) -> None:
    """Report on codes."""
    from udsph_tf.evaluation import (
        format_code_report,
        plot_bits,
        plot_code_distances,
        report_codes,
    )
    from udsph_tf.search import open_index

    index = open_index(args.index)
    new = None
    if args.new:
        new = open_index(args.new, model_checksum=index.model_checksum)
    report = report_codes(_codes(index), new and _codes(new), false_alarm_rate=args.false_alarms)
    if args.plots:
        folder = Path(args.plots)
        folder.mkdir(parents=True, exist_ok=True)
        plot_bits(report, folder / "bits.png")
        plot_code_distances(report, folder / "distances.png")
    if args.json:
        print_json({"index": args.index, "new": args.new, **report})
    else:
        print(f"{args.index}: {format_code_report(report)}")


def _codes(index):
    """Packed codes by modality of the items that are not deleted."""
    places = index.catalogue.places()
    return {each: index.codes_of(each).codes(places) for each in index.modalities}
