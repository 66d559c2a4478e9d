"""`udsph verify`: check an export folder."""

import argparse

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "verify",
        run,
        "check an export folder: checksums, signatures, operations, bits of its golden items",
        "udsph verify artefacts/fashion",
    )
    parser.add_argument("artefacts", metavar="DIR", help="an export folder")


def run(args: argparse.Namespace) -> None:
    """Check the folder; an error names everything that is wrong."""
    from udsph_tf.artefacts import ExportError
    from udsph_tf.export.verify import CHECKS, verify

    wrong = verify(args.artefacts)
    lines = [line for every in wrong.values() for line in every]
    if lines:
        raise ExportError("\n  ".join([f"{args.artefacts} is not as it was exported:", *lines]))
    if args.json:
        print_json({"artefacts": args.artefacts, "checks": list(wrong), "wrong": []})
        return
    for name in CHECKS:
        print(f"{name:12} {'as exported' if name in wrong else 'not checked: none is stored'}")
