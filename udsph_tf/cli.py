"""The `udsph` command: flags, help, errors as messages and exit codes. No logic of its own."""

import argparse
import logging
import os
import sys

from absl import app
from absl import logging as absl_logging
from absl.flags import argparse_flags

from udsph_tf import commands
from udsph_tf.artefacts import ExportError
from udsph_tf.config import nearest

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
    for library in ("tensorflow", "faiss"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        args.command(args)
    except _EXPECTED as error:
        print(f"udsph: {error}", file=sys.stderr)
        return 2
    except ExportError as error:
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
    """Adds the nearest flag to the message about an unknown one."""

    def error(self, message: str):
        _, unknown, names = message.partition("unrecognized arguments: ")
        first = names.split()[0].partition("=")[0] if unknown else ""
        if first.startswith("-"):
            message += "." + nearest(first, self.flags())
        super().error(message)

    def flags(self) -> set[str]:
        """The flags of this parser and of its commands."""
        found = set()
        for action in self._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    found |= parser.flags()
        return {flag for flag in found if flag.startswith("--")}


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="udsph",
        description="Deep cross-modal hashing: images and text in one Hamming space.",
        epilog="example: udsph fit --dataset openmoji --bits 64 --out runs/emoji",
        # Without this `--run` would be ambiguous with flags that absl defines itself.
        allow_abbrev=False,
    )
    subcommands = parser.add_subparsers(metavar="command", required=True)

    fit = _command(
        subcommands,
        "fit",
        commands.fit,
        "train the two hashers",
        "udsph fit --dataset fashion --root ~/fashion --bits 64 --out runs/fashion",
    )
    fit.add_argument("--config", metavar="FILE", help="a TOML file; flags override it")
    fit.add_argument("--dataset", help="what to read; `udsph datasets` lists the names")
    fit.add_argument("--root", metavar="DIR", help="the data set's folder")
    fit.add_argument("--bits", metavar="K", help="code length, a positive multiple of 8 (64)")
    fit.add_argument(
        "--nested",
        metavar="K,K,...",
        help="lengths, such as 16,32,64: the first so many bits are good codes by themselves",
    )
    fit.add_argument("--seed", metavar="N", help="seed of training (0)")
    fit.add_argument(
        "--finetune",
        choices=("image", "text", "both"),
        help="train these frozen bodies too, after their hashers",
    )
    fit.add_argument("--out", metavar="DIR", help="run folder (runs/<dataset>-<bits>)")
    fit.add_argument(
        "--set",
        action="append",
        metavar="SECTION.KEY=VALUE",
        help="override one key of the configuration; may be repeated",
    )
    fit.add_argument("--resume", action="store_true", help="go on with the run in --out")
    _cache_flag(fit)

    evaluate = _command(
        subcommands,
        "evaluate",
        commands.evaluate,
        "search the database with held-back items",
        "udsph evaluate --run runs/fashion",
    )
    evaluate.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    evaluate.add_argument(
        "--role",
        default="query",
        choices=("query", "validation"),
        help="which items ask; choose on validation, report query (query)",
    )
    evaluate.add_argument(
        "--within", action="store_true", help="also image to image and text to text"
    )
    _cache_flag(evaluate)

    attend = _command(
        subcommands,
        "attend",
        commands.attend,
        "draw what each word of a text looks at in a picture",
        "udsph attend --run runs/fashion --item 15970 39386 --out attention.png",
    )
    attend.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    attend.add_argument("--item", nargs="+", metavar="ID", help="items of the run's data")
    attend.add_argument("--image", metavar="FILE", help="a picture, with --text instead of --item")
    attend.add_argument("--text", metavar="WORDS", help="the text that belongs to --image")
    attend.add_argument("--out", required=True, metavar="FILE.png", help="the picture to draw")

    export = _command(
        subcommands,
        "export",
        commands.export,
        "write and verify SavedModels and TFLite files",
        "udsph export --run runs/fashion --out artefacts/fashion",
    )
    export.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    export.add_argument("--out", required=True, metavar="DIR", help="the export folder to make")
    export.add_argument(
        "--items",
        type=_positive,
        default=1000,
        metavar="N",
        help="query items that every form is compared on, at most (1000)",
    )
    export.add_argument("--overwrite", action="store_true", help="replace an existing export")

    index = _command(
        subcommands,
        "index",
        commands.index,
        "encode a collection and index its codes",
        "udsph index --artefacts artefacts/fashion --run runs/fashion --out index/fashion",
    )
    index.add_argument("--artefacts", required=True, metavar="DIR", help="an export folder")
    index.add_argument("--run", metavar="DIR", help="index the database items of this run")
    index.add_argument("--dataset", help="index every item of this data set")
    index.add_argument("--root", metavar="DIR", help="the data set's folder")
    index.add_argument("--out", required=True, metavar="DIR", help="the index folder to make")
    index.add_argument("--overwrite", action="store_true", help="replace an existing index")

    search = _command(
        subcommands,
        "search",
        commands.search,
        "find pictures or texts",
        'udsph search "red running shoes" --artefacts artefacts/fashion '
        "--index index/fashion --sheet shoes.png",
    )
    search.add_argument("text", nargs="?", help="words to search with")
    search.add_argument("--image", metavar="FILE", help="a picture to search with")
    search.add_argument("--artefacts", required=True, metavar="DIR", help="an export folder")
    search.add_argument("--index", required=True, metavar="DIR", help="an index folder")
    search.add_argument(
        "--find",
        default="images",
        choices=("images", "texts"),
        help="whose codes are searched (images)",
    )
    search.add_argument("-k", type=_positive, default=10, help="number of hits (10)")
    search.add_argument("--sheet", metavar="FILE.png", help="draw a contact sheet")

    _command(
        subcommands,
        "datasets",
        commands.datasets,
        "list what can be read and where it comes from",
        "udsph datasets --json",
    )
    return parser.parse_args(argv[1:])


def _command(subcommands, name: str, function, summary: str, example: str):
    parser = subcommands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(command=function)
    return parser


def _cache_flag(parser) -> None:
    parser.add_argument("--cache", metavar="DIR", help="folder of caches (~/.cache/udsph_tf)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)
