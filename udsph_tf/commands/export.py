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
    parser.add_argument("--overwrite", action="store_true", help="replace an existing export")


def run(args: argparse.Namespace) -> None:
    """Write and verify the encoders."""
    from udsph_tf.export import export
    from udsph_tf.training import RunFolder
    from udsph_tf.training.material import run_pairs

    run_folder = RunFolder(Path(args.run))
    run_folder.require_finished()
    pairs = run_pairs(run_folder)
    held_back = pairs.take(pairs.indices("query")[: args.items])
    verification = export(run_folder, args.out, held_back, overwrite=args.overwrite)
    if args.json:
        print_json({"out": args.out, "verification": verification})
        return
    print(f"{'encoder':8} {'form':16} {'items':>6} {'equal bits':>11} {'differing':>10} not near 0")
    for modality, forms in verification.items():
        for form, each in forms.items():
            print(
                f"{modality:8} {form:16} {each['items']:6d} {each['agreement']:11.5%} "
                f"{each['differing_bits']:10d} {each['differing_bits_not_near_zero']:10d}"
            )
    print(f"Export folder {args.out}")
