"""`udsph datasets`: list what can be read, and check a download."""

import argparse

from udsph_tf.commands.parsing import command, print_json

__all__ = ["CheckFailed", "add", "run", "run_check"]

_DESCRIBED = ("source", "size", "licence", "layout")


class CheckFailed(ValueError):
    """A download is not what it should be; the findings have been printed."""


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "datasets",
        run,
        "list what can be read and where it comes from, or check a download",
        "udsph datasets --json",
    )
    actions = parser.add_subparsers(metavar="action")
    check = command(
        actions,
        "check",
        run_check,
        "count the parts of a download and name what is missing or extra",
        "udsph datasets check mirflickr25k --root ~/mirflickr25k",
    )
    check.add_argument("name", help="the data set; `udsph datasets` lists the names")
    check.add_argument("--root", required=True, metavar="DIR", help="the folder to look into")


def run(args: argparse.Namespace) -> None:
    """List what can be read."""
    from udsph_tf.data import CATALOGUE

    described = {
        name: {key: getattr(each, key) for key in _DESCRIBED} for name, each in CATALOGUE.items()
    }
    if args.json:
        print_json(described)
        return
    for name, each in described.items():
        print(name)
        for key, value in each.items():
            print(f"  {key:8} {value}")


def run_check(args: argparse.Namespace) -> None:
    """Check a download; an error where something is missing or extra."""
    from dataclasses import asdict

    from udsph_tf.data import CATALOGUE, check_dataset

    findings, problems = check_dataset(args.name, args.root)
    wrong = [each for each in findings if not each.is_right]
    if args.json:
        print_json(
            {
                "dataset": args.name,
                "is_right": not wrong and not problems,
                "findings": [{**asdict(each), "is_right": each.is_right} for each in findings],
                "problems": [asdict(each) for each in problems],
            }
        )
    else:
        for each in findings:
            print(each)
        for each in problems[:10]:
            print(f"WRONG {each.id}: {each.reason} ({each.source})")
        if len(problems) > 10:
            print(f"WRONG and {len(problems) - 10:,} more such items (--json names them all)")
        if problems:
            print("Mend them; `udsph fit` leaves single items out, or stops (data.bad_items)")
    if wrong or problems:
        raise CheckFailed(
            f"{len(wrong)} parts and {len(problems):,} items of `{args.name}` are not as they "
            f"should be. Source: {CATALOGUE[args.name].source}"
        )
