"""The `udsph` command: flags in, calls of the library, results out. No logic of its own."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from absl import app
from absl.flags import argparse_flags

from udsph_tf.config import Config, load_config, nearest, override

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
    for library in ("absl", "tensorflow", "faiss"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        args.command(args)
    except _EXPECTED as error:
        print(f"udsph: {error}", file=sys.stderr)
        return 2
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


def _fit(args) -> None:
    from udsph_tf.training import fit
    from udsph_tf.training.preparation import default_cache

    config = _config(args)
    out = args.out or f"runs/{config.data.dataset}-{config.network.num_bits}"
    run_folder = fit(config, out, args.cache or default_cache(), resume=args.resume)
    finished = run_folder.require_finished()
    if args.json:
        _print_json({"run": str(run_folder.path), **finished})
    else:
        print(
            f"Best epoch {finished['best_epoch']}, validation MAP {finished['validation_map']:.4f}"
            f"\nRun folder {run_folder.path}\nNext: udsph evaluate --run {run_folder.path}"
        )


def _evaluate(args) -> None:
    from udsph_tf.evaluation import format_table
    from udsph_tf.training import RunFolder, evaluate
    from udsph_tf.training.preparation import default_cache

    results = evaluate(
        RunFolder(Path(args.run)),
        args.cache or default_cache(),
        role=args.role,
        within=args.within,
    )
    if args.json:
        _print_json(results)
        return
    counts = ", ".join(f"{number:,} {role}" for role, number in results["counts"].items())
    print(f"{results['dataset']}: {counts} items; relevant: {results['relevance']}")
    print(format_table(results["directions"]))


def _export(args) -> None:
    from udsph_tf.export import export
    from udsph_tf.training import RunFolder
    from udsph_tf.training.material import run_pairs

    run_folder = RunFolder(Path(args.run))
    run_folder.require_finished()
    pairs = run_pairs(run_folder)
    held_back = pairs.take(pairs.indices("query")[: args.items])
    verification = export(run_folder, args.out, held_back, overwrite=args.overwrite)
    if args.json:
        _print_json({"out": args.out, "verification": verification})
        return
    print(f"{'encoder':8} {'form':16} {'items':>6} {'equal bits':>11} {'differing':>10} not near 0")
    for modality, forms in verification.items():
        for form, each in forms.items():
            print(
                f"{modality:8} {form:16} {each['items']:6d} {each['agreement']:11.5%} "
                f"{each['differing_bits']:10d} {each['differing_bits_not_near_zero']:10d}"
            )
    print(f"Export folder {args.out}")


def _index(args) -> None:
    from udsph_tf.serving import index_pairs

    number, left_out = index_pairs(
        _pairs_to_index(args), args.artefacts, args.out, overwrite=args.overwrite
    )
    if args.json:
        _print_json({"out": args.out, "items": number, "left_out": [vars(p) for p in left_out]})
    else:
        print(f"{number:,} items indexed in {args.out}, {len(left_out)} left out")


def _search(args) -> None:
    from udsph_tf.data.images import read_image
    from udsph_tf.search import Query, draw_contact_sheet, format_hits, hits_as_json, open_index
    from udsph_tf.serving import ImageEncoder, TextEncoder

    if (args.text is None) == (args.image is None):
        raise ValueError("Give either words or --image FILE to search with")
    if args.image is None:
        encoder = TextEncoder(args.artefacts)
        encoder.check_query(args.text)
        packed, query, shown = encoder.encode([args.text]), Query(text=args.text), args.text
    else:
        encoder = ImageEncoder(args.artefacts)
        try:
            data = read_image(args.image)
            packed = encoder.encode([data])
        except ValueError as error:
            raise ValueError(f"{args.image}: {error}") from error
        query, shown = Query(text=Path(args.image).name, image=data), args.image
    index = open_index(args.index, model_checksum=encoder.model_checksum)
    (hits,) = index.search(packed, args.find.removesuffix("s"), args.k)
    if args.sheet:
        draw_contact_sheet(args.sheet, query, hits, read_image)
    if args.json:
        _print_json(hits_as_json(shown, hits))
    else:
        print(format_hits(shown, hits))
        if args.sheet:
            print(f"Contact sheet {args.sheet}")


def _datasets(args) -> None:
    from udsph_tf.data import CATALOGUE

    described = {
        name: {"source": each.source, "licence": each.licence, "layout": each.layout}
        for name, each in CATALOGUE.items()
    }
    if args.json:
        _print_json(described)
        return
    for name, each in described.items():
        print(name)
        for key, value in each.items():
            print(f"  {key:8} {value}")


def _config(args) -> Config:
    from udsph_tf.data import CATALOGUE

    if args.config:
        config = load_config(args.config)
    else:
        name = args.dataset or Config().data.dataset
        if name not in CATALOGUE:
            raise ValueError(f"Unknown data set `{name}`.{nearest(name, CATALOGUE)}")
        config = override(Config(), {**CATALOGUE[name].defaults})
    tables: dict[str, dict] = {}
    for assignment in args.set or ():
        key, equals, value = assignment.partition("=")
        section, dot, name = key.partition(".")
        if not equals or not dot:
            raise ValueError(
                f"--set takes section.key=value, such as loss.local=0. Received: {assignment!r}"
            )
        tables.setdefault(section, {})[name] = value
    flags = {
        ("data", "dataset"): args.dataset,
        ("data", "root"): args.root and str(Path(args.root).resolve()),
        ("network", "num_bits"): args.bits,
        ("training", "seed"): args.seed,
    }
    for (section, name), value in flags.items():
        if value is not None:
            tables.setdefault(section, {})[name] = value
    return override(config, tables)


def _pairs_to_index(args):
    from udsph_tf.config import DataConfig
    from udsph_tf.data import read_pairs
    from udsph_tf.training.material import run_pairs
    from udsph_tf.training.run_folder import RunFolder

    if bool(args.run) == bool(args.dataset):
        raise ValueError("Give either --run (its database items) or --dataset (all its items)")
    if args.run:
        pairs = run_pairs(RunFolder(Path(args.run)))
        return pairs.take(pairs.indices("database"))
    root = str(Path(args.root).resolve()) if args.root else ""
    pairs, problems = read_pairs(DataConfig(dataset=args.dataset, root=root))
    for problem in problems:
        logging.warning("Skipping %s: %s", problem.id, problem.reason)
    return pairs


def _print_json(content) -> None:
    json.dump(content, sys.stdout, indent=1, ensure_ascii=False)
    print()


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
    commands = parser.add_subparsers(metavar="command", required=True)

    fit = _command(
        commands,
        "fit",
        _fit,
        "train the two hashers",
        "udsph fit --dataset fashion --root ~/fashion --bits 64 --out runs/fashion",
    )
    fit.add_argument("--config", metavar="FILE", help="a TOML file; flags override it")
    fit.add_argument("--dataset", help="what to read; `udsph datasets` lists the names")
    fit.add_argument("--root", metavar="DIR", help="the data set's folder")
    fit.add_argument("--bits", metavar="K", help="code length, a positive multiple of 8 (64)")
    fit.add_argument("--seed", metavar="N", help="seed of training (0)")
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
        commands,
        "evaluate",
        _evaluate,
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

    export = _command(
        commands,
        "export",
        _export,
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
        commands,
        "index",
        _index,
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
        commands,
        "search",
        _search,
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
        commands,
        "datasets",
        _datasets,
        "list what can be read and where it comes from",
        "udsph datasets --json",
    )
    return parser.parse_args(argv[1:])


def _command(commands, name: str, function, summary: str, example: str):
    parser = commands.add_parser(
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
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number
