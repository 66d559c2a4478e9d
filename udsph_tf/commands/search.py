"""`udsph search`: find pictures or texts."""

import argparse
from pathlib import Path

from udsph_tf.commands.parsing import command, positive, print_json, tf_serving_flag
from udsph_tf.commands.places import IN_MILVUS, open_place

__all__ = ["add", "run"]


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "search",
        run,
        "find pictures or texts",
        'udsph search "red running shoes" --artefacts artefacts/fashion '
        "--index index/fashion --sheet shoes.png",
    )
    parser.add_argument("text", nargs="?", help="words to search with")
    parser.add_argument("--image", metavar="FILE", help="a picture to search with")
    parser.add_argument("--artefacts", required=True, metavar="DIR", help="an export folder")
    parser.add_argument(
        "--index", required=True, metavar="DIR", help=f"an index folder, {IN_MILVUS}"
    )
    tf_serving_flag(parser)
    parser.add_argument(
        "--find",
        default="images",
        choices=("images", "texts"),
        help="whose codes are searched (images)",
    )
    parser.add_argument("-k", type=positive, default=10, help="number of hits (10)")
    parser.add_argument("--sheet", metavar="FILE.png", help="draw a contact sheet")


def run(args: argparse.Namespace) -> None:
    """Find pictures or texts."""
    from udsph_tf.data.images import read_image
    from udsph_tf.search import Query, draw_contact_sheet, format_hits, hits_as_json
    from udsph_tf.serving.opening import open_encoder

    if (args.text is None) == (args.image is None):
        raise ValueError("Give either words or --image FILE to search with")
    if args.image is None:
        with open_encoder("text", args.artefacts, args.tf_serving) as encoder:
            encoder.check_query(args.text)
            packed, query, shown = encoder.encode([args.text]), Query(text=args.text), args.text
    else:
        with open_encoder("image", args.artefacts, args.tf_serving) as encoder:
            try:
                data = read_image(args.image)
                packed = encoder.encode([data])
            except ValueError as error:
                raise ValueError(f"{args.image}: {error}") from error
        query, shown = Query(text=Path(args.image).name, image=data), args.image
    index = open_place(args.index, model_checksum=encoder.model_checksum)
    (hits,) = index.search(packed, args.find.removesuffix("s"), args.k)
    if args.sheet:
        Path(args.sheet).parent.mkdir(parents=True, exist_ok=True)
        draw_contact_sheet(args.sheet, query, hits, read_image)
    if args.json:
        print_json(hits_as_json(shown, hits))
    else:
        print(format_hits(shown, hits))
        if args.sheet:
            print(f"Contact sheet {args.sheet}")
