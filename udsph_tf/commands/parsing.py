"""What the commands share: how one is described, flag types, JSON on stdout."""

import argparse
import json
import sys
from collections.abc import Callable

__all__ = ["cache_flag", "command", "not_negative", "positive", "print_json", "tf_serving_flag"]


def command(
    subcommands, name: str, run: Callable[[argparse.Namespace], None], summary: str, example: str
) -> argparse.ArgumentParser:
    """Add the command `name`, which `run` carries out."""
    parser = subcommands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(command=run)
    return parser


def cache_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--cache`."""
    parser.add_argument("--cache", metavar="DIR", help="folder of caches (~/.cache/udsph_tf)")


def tf_serving_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--tf-serving`."""
    parser.add_argument(
        "--tf-serving",
        metavar="URL",
        help="encode by TensorFlow Serving at grpc://host:port or http://host:port, "
        "/versions/N or /labels/NAME behind it (in this process)",
    )


def positive(text: str) -> int:
    """Type of a flag that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def not_negative(text: str) -> int:
    """Type of a flag that is a distance."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, not {text!r}")
    return int(text)


def print_json(content) -> None:
    """Print `content` as the whole result of a command."""
    json.dump(content, sys.stdout, indent=1, ensure_ascii=False)
    print(flush=True)  # `udsph serve` goes on for long after it
