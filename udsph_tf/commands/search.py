"""`udsph search`: find pictures or texts."""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from udsph_tf.commands.parsing import (
    command,
    not_negative,
    positive,
    print_json,
    tf_serving_flag,
)
from udsph_tf.commands.places import IN_MILVUS, open_place
from udsph_tf.config import nearest

__all__ = ["add", "run"]

_MODALITY = {"images": "image", "texts": "text", "items": "fused"}


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
        choices=tuple(_MODALITY),
        help="whose codes are searched (images); those of items are of picture and words together",
    )
    parser.add_argument("-k", type=positive, default=10, help="number of hits (10)")
    parser.add_argument(
        "--filter",
        action="append",
        metavar="FIELD=VALUE",
        help="only items with this label; may be repeated: values of one field are alternatives",
    )
    parser.add_argument(
        "--radius",
        type=not_negative,
        metavar="R",
        help="only hits at this Hamming distance or less",
    )
    parser.add_argument(
        "--bits", type=positive, metavar="K", help="search by the first K bits of nested codes"
    )
    parser.add_argument(
        "--rerank",
        action="store_true",
        help="order the nearest 100 by the query's hash before it was rounded to bits",
    )
    parser.add_argument("--sheet", metavar="FILE.png", help="draw a contact sheet")


def run(args: argparse.Namespace) -> None:
    """Find pictures or texts."""
    from udsph_tf.codes import first_bits
    from udsph_tf.data.images import read_image
    from udsph_tf.search import Query, draw_contact_sheet, format_hits, hits_as_json
    from udsph_tf.serving.opening import open_encoder

    if (args.text is None) == (args.image is None):
        raise ValueError("Give either words or --image FILE to search with")
    if args.image is None:
        with open_encoder("text", args.artefacts, args.tf_serving) as encoder:
            encoder.check_query(args.text)
            outputs, query, shown = encoder.run([args.text]), Query(text=args.text), args.text
    else:
        with open_encoder("image", args.artefacts, args.tf_serving) as encoder:
            try:
                data = read_image(args.image)
                outputs = encoder.run([data])
            except ValueError as error:
                raise ValueError(f"{args.image}: {error}") from error
        query, shown = Query(text=Path(args.image).name, image=data), args.image
    index = open_place(args.index, model_checksum=encoder.model_checksum)
    bits = args.bits or index.num_bits
    if bits not in index.lengths:
        raise ValueError(
            f"--bits must be one of {', '.join(map(str, index.lengths))}, the lengths that this "
            "index can be searched by: those of a model that `udsph fit --nested` trained, and of "
            f"Milvus the whole code alone. Received: {bits}"
        )
    if bits < index.num_bits:
        index = index.first_bits(bits)
    (hits,) = index.search(
        first_bits(outputs["packed"], bits),
        _MODALITY[args.find],
        args.k,
        radius=args.radius,
        filters=_filters(args.filter, index.facets()) if args.filter else None,
        query_hash=outputs["hash"][:, :bits] if args.rerank else None,
    )
    if args.sheet:
        Path(args.sheet).parent.mkdir(parents=True, exist_ok=True)
        draw_contact_sheet(args.sheet, query, hits, read_image)
    if args.json:
        print_json(hits_as_json(shown, hits))
    else:
        print(format_hits(shown, hits))
        if args.sheet:
            print(f"Contact sheet {args.sheet}")


def _filters(given: Sequence[str], facets: dict | None) -> dict[str, list[str]]:
    """Values by field of each `field=value`; what no item has is an error, where that is known."""
    filters: dict[str, list[str]] = {}
    for each in given:
        field, equals, value = each.partition("=")
        if not equals or not field:
            raise ValueError(f"--filter takes field=value, such as colour=red. Received: {each!r}")
        if facets is not None:
            _check_known(each, "field", field, facets)
            _check_known(each, "value", value, facets[field])
        filters.setdefault(field, []).append(value)
    return filters


def _check_known(given: str, what: str, asked: str, known: Collection[str]) -> None:
    if asked not in known:
        raise ValueError(f"--filter {given}: no item has this {what}.{nearest(asked, known)}")
