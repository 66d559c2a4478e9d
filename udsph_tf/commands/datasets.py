"""`udsph datasets`: list what can be read and where it comes from."""

import argparse

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    command(
        subcommands,
        "datasets",
        run,
        "list what can be read and where it comes from",
        "udsph datasets --json",
    )


def run(args: argparse.Namespace) -> None:
    """List what can be read."""
    from udsph_tf.data import CATALOGUE

    described = {
        name: {"source": each.source, "licence": each.licence, "layout": each.layout}
        for name, each in CATALOGUE.items()
    }
    if args.json:
        print_json(described)
        return
    for name, each in described.items():
        print(name)
        for key, value in each.items():
            print(f"  {key:8} {value}")
