"""`udsph evaluate`: search the database with held-back items."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import cache_flag, command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "evaluate",
        run,
        "search the database with held-back items",
        "udsph evaluate --run runs/fashion",
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    parser.add_argument(
        "--role",
        default="query",
        choices=("query", "validation"),
        help="which items ask; choose on validation, report query (query)",
    )
    parser.add_argument(
        "--within", action="store_true", help="also image to image and text to text"
    )
    cache_flag(parser)


def run(args: argparse.Namespace) -> None:
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
        print_json(results)
        return
    counts = ", ".join(f"{number:,} {role}" for role, number in results["counts"].items())
    print(f"{results['dataset']}: {counts} items; relevant: {results['relevance']}")
    lengths = {**results["shorter"], str(results["num_bits"]): results["directions"]}
    for num_bits, directions in lengths.items():
        print(f"\n{num_bits} bits")
        if any(each["map"] is not None for each in directions.values()):
            print(format_table(directions))
        print(_own_items(directions))
    if "unseen" in results:
        kinds = ", ".join(results["unseen"]["kinds"])
        print(f"\nAsked by items of kinds that training has not seen ({kinds})")
        print(format_table(results["unseen"]["directions"]))


def _own_items(directions: dict) -> str:
    """How often a held-back item finds its own counterpart, a line a direction."""
    lines = []
    for name, each in directions.items():
        for key, among in (
            ("own_item_recall_among_held_back_at_k", "held-back items"),
            ("own_item_recall_at_k", "these and the database"),
        ):
            if key in each:
                recalls = "  ".join(f"R@{k} {value:.4f}" for k, value in each[key].items())
                lines.append(f"{name}: own item among {among}: {recalls}")
    return "\n".join(lines)
