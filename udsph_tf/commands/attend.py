"""`udsph attend`: draw what each word of a text looks at in a picture."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, print_json

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "attend",
        run,
        "draw what each word of a text looks at in a picture",
        "udsph attend --run runs/fashion --item 15970 39386 --out attention.png",
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="a finished run folder")
    parser.add_argument("--item", nargs="+", metavar="ID", help="items of the run's data")
    parser.add_argument("--image", metavar="FILE", help="a picture, with --text instead of --item")
    parser.add_argument("--text", metavar="WORDS", help="the text that belongs to --image")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="the picture to draw")


def run(args: argparse.Namespace) -> None:
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
        print_json({"out": args.out, "pairs": [_attention_as_json(each) for each in pairs]})
        return
    for each in pairs:
        print(one_line(each.title))
        for word, agreement in zip(each.words, each.agreement, strict=True):
            print(f"  {agreement:z5.2f}  {one_line(word)}")
    print(f"Picture {args.out}")


def _attention_as_json(pair) -> dict:
    words = zip(pair.words, pair.agreement.tolist(), pair.weights.tolist(), strict=True)
    return {
        "title": pair.title,
        "words": [
            {"word": word, "agreement": agreement, "weights": weights}
            for word, agreement, weights in words
        ],
    }
