"""What the `udsph` commands do: calls of the library, results on stdout."""

import argparse
import json
import logging
import sys
from pathlib import Path

from udsph_tf.config import Config, load_config, nearest, override

__all__ = ["attend", "datasets", "evaluate", "export", "fit", "index", "search"]


def fit(args: argparse.Namespace) -> None:
    """Train a run."""
    from udsph_tf.training import fit
    from udsph_tf.training.preparation import default_cache

    config = _config(args)
    out = args.out or f"runs/{config.data.dataset}-{config.network.num_bits}"
    run_folder = fit(config, out, args.cache or default_cache(), resume=args.resume)
    finished = run_folder.require_finished()
    if args.json:
        _print_json({"run": str(run_folder.path), **finished})
    else:
        score = finished["validation_map"]
        best = "Last epoch kept" if score is None else f"Best epoch {finished['best_epoch']}"
        held_back = "no item held back" if score is None else f"validation MAP {score:.4f}"
        print(
            f"{best}, {held_back}\nRun folder {run_folder.path}\n"
            f"Next: udsph evaluate --run {run_folder.path}"
        )


def evaluate(args: argparse.Namespace) -> None:
    """Search the database with held-back items."""
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
    lengths = {**results["shorter"], str(results["num_bits"]): results["directions"]}
    for num_bits, directions in lengths.items():
        print(f"\n{num_bits} bits")
        print(format_table(directions))


def attend(args: argparse.Namespace) -> None:
    """Draw what each word looks at."""
    from udsph_tf.evaluation import plot_attention
    from udsph_tf.search.plain_text import one_line
    from udsph_tf.training import RunFolder, attend
    from udsph_tf.training.attending import items_of_run

    given = (args.item is not None, args.image is not None, args.text is not None)
    if given not in ((True, False, False), (False, True, True)):
        raise ValueError("Give either --item ID, or --image FILE and --text WORDS")
    run_folder = RunFolder(Path(args.run))
    if args.item:
        items = items_of_run(run_folder, args.item)
        titles = [f"{item}: {text}" for item, text in zip(items.ids, items.texts, strict=True)]
        pairs = attend(run_folder, items.images, items.texts, titles)
    else:
        pairs = attend(run_folder, [args.image], [args.text], [one_line(args.text)])
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    plot_attention(pairs, args.out)
    if args.json:
        _print_json({"out": args.out, "pairs": [_attention_as_json(each) for each in pairs]})
        return
    for each in pairs:
        print(one_line(each.title))
        for word, agreement in zip(each.words, each.agreement, strict=True):
            print(f"  {agreement:z5.2f}  {one_line(word)}")
    print(f"Picture {args.out}")


def export(args: argparse.Namespace) -> None:
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


def index(args: argparse.Namespace) -> None:
    """Encode and index a collection."""
    from udsph_tf.serving import index_pairs

    number, left_out = index_pairs(
        _pairs_to_index(args), args.artefacts, args.out, overwrite=args.overwrite
    )
    if args.json:
        _print_json({"out": args.out, "items": number, "left_out": [vars(p) for p in left_out]})
    else:
        print(f"{number:,} items indexed in {args.out}, {len(left_out)} left out")


def search(args: argparse.Namespace) -> None:
    """Find pictures or texts."""
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
        Path(args.sheet).parent.mkdir(parents=True, exist_ok=True)
        draw_contact_sheet(args.sheet, query, hits, read_image)
    if args.json:
        _print_json(hits_as_json(shown, hits))
    else:
        print(format_hits(shown, hits))
        if args.sheet:
            print(f"Contact sheet {args.sheet}")


def datasets(args: argparse.Namespace) -> None:
    """List what can be read."""
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
        config = override(Config(), CATALOGUE[name].defaults)
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
        ("loss", "nested"): args.nested,
        ("network", "num_bits"): args.bits or (args.nested and args.nested.split(",")[-1]),
        ("training", "seed"): args.seed,
        ("training", "finetune"): args.finetune,
    }
    for (section, name), value in flags.items():
        if value is not None:
            tables.setdefault(section, {})[name] = value
    return override(config, tables)


def _attention_as_json(pair) -> dict:
    words = zip(pair.words, pair.agreement.tolist(), pair.weights.tolist(), strict=True)
    return {
        "title": pair.title,
        "words": [
            {"word": word, "agreement": agreement, "weights": weights}
            for word, agreement, weights in words
        ],
    }


def _pairs_to_index(args):
    from udsph_tf.config import DataConfig
    from udsph_tf.data import read_pairs
    from udsph_tf.training.material import run_pairs
    from udsph_tf.training.run_folder import RunFolder

    if bool(args.run) == bool(args.dataset):
        raise ValueError("Give either --run (its database items) or --dataset (all its items)")
    if args.run:
        if args.root:
            raise ValueError("--root belongs to --dataset; a run knows the root of its own data")
        run_folder = RunFolder(Path(args.run))
        run_folder.require_finished()
        pairs = run_pairs(run_folder)
        return pairs.take(pairs.indices("database"))
    root = str(Path(args.root).resolve()) if args.root else ""
    pairs, problems = read_pairs(DataConfig(dataset=args.dataset, root=root))
    for problem in problems:
        logging.warning("Skipping %s: %s", problem.id, problem.reason)
    return pairs


def _print_json(content) -> None:
    json.dump(content, sys.stdout, indent=1, ensure_ascii=False)
    print()
