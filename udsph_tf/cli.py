"""The `udsph` command: errors as messages and exit codes. No logic of its own."""

import argparse
import logging
import os
import sys

from absl import app
from absl import logging as absl_logging
from absl.flags import argparse_flags

from udsph_tf.artefacts import ExportError
from udsph_tf.commands import COMMANDS
from udsph_tf.config import nearest
from udsph_tf.version import __version__

__all__ = ["run"]

_EXPECTED = (ValueError, FileNotFoundError, FileExistsError, ImportError, FloatingPointError)


def run() -> None:
    """Entry point of the console script."""
    app.run(_main, flags_parser=_parse)


def _main(args: argparse.Namespace) -> int:
    _quiet_tensorflow()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # By absl's own function: TensorFlow saves and restores that verbosity when it saves a model.
    absl_logging.set_verbosity(absl_logging.ERROR)
    for library in ("tensorflow", "faiss", "httpx2"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        args.command(args)
    except _EXPECTED as error:
        print(f"udsph: {error}", file=sys.stderr)
        return 2
    except ExportError as error:
        print(f"udsph: {error}", file=sys.stderr)
        return 1
    except ConnectionError as error:
        print(f"udsph: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"udsph: {error}. Is there room on the disk, and may it be written?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("udsph: stopped", file=sys.stderr)
        return 130
    return 0


def _quiet_tensorflow() -> None:
    """Import TensorFlow without the lines that its C++ prints whatever the log level is."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


class _Parser(argparse_flags.ArgumentParser):
    """Refuses an unknown flag itself, so that a command names its own usage and nearest flag."""

    def parse_known_args(self, args=None, namespace=None):
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = ""
            if unknown[0].startswith("-"):
                shown = [each for each in self._actions if each.help != argparse.SUPPRESS]
                flags = {flag for each in shown for flag in each.option_strings}
                long = {flag for flag in flags if flag.startswith("--")}
                hint = "." + nearest(unknown[0].partition("=")[0], long)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return namespace, unknown


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="udsph",
        description="Deep cross-modal hashing: images and text in one Hamming space.",
        epilog="example: udsph fit --dataset openmoji --bits 64 --out runs/emoji",
        # Without this `--run` would be ambiguous with flags that absl defines itself.
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"udsph-tf {__version__}")
    subcommands = parser.add_subparsers(metavar="command", required=True)

    for each in COMMANDS:
        each.add(subcommands)
    return parser.parse_args(argv[1:])
