"""`udsph export`: write and verify SavedModels and TFLite files."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, positive, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "export",
        run,
        "write and verify SavedModels and TFLite files",
        "udsph export --run runs/fashion --out artefacts/fashion",
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="the export folder to make")
    parser.add_argument(
        "--items",
        type=positive,
        default=1000,
        metavar="N",
        help="query items that every form is compared on, at most (1000)",
    )
    parser.add_argument(
        "--calibration",
        type=positive,
        default=128,
        metavar="N",
        help="training items that the int8 file is calibrated on (128); four times as many are "
        "looked at, for those whose bits are least sure",
    )
    parser.add_argument(
        "--golden",
        type=int,
        choices=range(65),
        default=8,
        metavar="N",
        help="query items stored with their codes for `udsph verify`, up to 64 (8); 0 stores none, "
        "for data that must not be passed on",
    )
    parser.add_argument("--int8-hash", action="store_true", help="let the int8 file give hash too")
    parser.add_argument(
        "--int8-head",
        choices=["plain", "corrected", "tuned"],
        default="corrected",
        help="the int8 file's head: as trained (plain), its standardisation corrected for what "
        "rounding does to the body (corrected), or also fine-tuned with 8-bit weights (tuned)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing export")


def run(args: argparse.Namespace) -> None:
    """Write and verify the encoders."""
    from udsph_tf.export import export
    from udsph_tf.export.quantization_report import report_table
    from udsph_tf.training import RunFolder
    from udsph_tf.training.material import run_pairs

    run_folder = RunFolder(Path(args.run))
    run_folder.require_finished()
    pairs = run_pairs(run_folder)
    said = export(
        run_folder,
        args.out,
        pairs.take(pairs.indices("query")[: args.items]),
        pairs.take(pairs.indices("train")),
        calibration_items=args.calibration,
        golden_items=args.golden,
        int8_hash=args.int8_hash,
        int8_head=args.int8_head,
        overwrite=args.overwrite,
    )
    if args.json:
        print_json({"out": args.out, **said})
        return
    print(f"{'encoder':8} {'form':20} {'items':>6} {'equal bits':>11} {'differing':>10} not near 0")
    for modality, forms in said["verification"].items():
        for form, each in forms.items():
            print(
                f"{modality:8} {form:20} {each['items']:6d} {each['agreement']:11.5%} "
                f"{each['differing_bits']:10d} {each['differing_bits_not_near_zero']:10d}"
            )
    print("\n" + report_table(said["quantization"]) + "\n")
    print(f"Export folder {args.out}")
