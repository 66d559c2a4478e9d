"""Fashion Product Images (Kaggle: paramaggarwal/fashion-product-images-small).

Layout: `styles.csv` and either the folder `images/` or the archive `images.zip` beside it.
The text of an item is its productDisplayName. Its labels are its subCategory and articleType
(`fashion`), or its articleType, baseColour, gender and usage (`fashion-attributes`).
"""

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.data.download import decode_text, folder_with, some
from udsph_tf.data.image_folder import image_source, image_stems
from udsph_tf.data.pairs import Pairs, Problem, check_ids, multi_hot

__all__ = ["keep_common_articles", "read_fashion", "read_fashion_attributes"]

_LOG = logging.getLogger(__name__)
_COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)
_TABLE = "styles.csv"
_LAYOUT = "styles.csv and images/ (or images.zip), unpacked from Kaggle's archive"
_MISSING = ("", "NA", "nan")
_MIN_ARTICLE_ITEMS = 100


def read_fashion(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """The protocol `fashion`: labels are subCategory and articleType; see `_read`."""
    return _read("fashion", root, ("subCategory", "articleType"))


def read_fashion_attributes(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """The protocol `fashion-attributes`: the same items with four labels each; see `_read`."""
    return _read("fashion-attributes", root, ("articleType", "baseColour", "gender", "usage"))


def _read(name: str, root: str | Path, label_columns: Sequence[str]) -> tuple[Pairs, list[Problem]]:
    """Read Kaggle's layout; rows with a missing field are reported and left out.

    Args:
        name: of the protocol.
        root: the folder that holds `styles.csv` and the pictures.
        label_columns: columns whose values are the labels, as `column=value`.

    Returns:
        The pairs, and the rows that cannot be used.

    Raises:
        FileNotFoundError: `styles.csv` or the pictures are not where they should be.
        ValueError: a column is missing, or `styles.csv` is not CSV in UTF-8.
    """
    root = folder_with(_TABLE, root, _LAYOUT)
    table = root / _TABLE
    source = image_source(root)
    rows, problems = [], []
    for line, row in _read_table(table):
        empty = [name for name in _COLUMNS if row.get(name, "") in _MISSING]
        if empty:
            where = f"{table}, line {line}"
            problems.append(Problem(row.get("id", ""), where, f"the field {empty[0]} is missing"))
        else:
            rows.append(row)
    check_ids([row["id"] for row in rows], str(table))
    told = {row["id"] for row in rows} | {each.id for each in problems}
    untold = sorted(image_stems(root) - told)
    if untold:
        _LOG.warning(
            "%d pictures have no row in %s: %s. Is it cut off? Download it again",
            len(untold),
            table,
            some(untold),
        )
    labels, names = multi_hot(
        [f"{column}={row[column]}" for column in label_columns] for row in rows
    )
    pairs = Pairs(
        name=name,
        ids=[row["id"] for row in rows],
        images=[source(row["id"]) for row in rows],
        texts=[row["productDisplayName"] for row in rows],
        labels=labels,
        label_names=names,
    )
    return pairs, problems


def keep_common_articles(pairs: Pairs) -> Pairs:
    """Only items whose articleType has at least 100 items, as the protocol asks.

    Raises:
        ValueError: no articleType has that many.
    """
    columns = pairs.label_groups().get("articleType", [])
    common = pairs.labels[:, columns].sum(axis=0) >= _MIN_ARTICLE_ITEMS
    keep = (pairs.labels[:, columns] * common.astype(np.uint8)).any(axis=1)
    if not keep.any():
        raise ValueError(
            f"No articleType has {_MIN_ARTICLE_ITEMS} usable items, as the protocol of `fashion` "
            "asks. Is the download complete? Read smaller collections as a `manifest`"
        )
    return pairs.take(keep).drop_unused_labels()


def _read_table(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            absent = [name for name in _COLUMNS if name not in header]
            if absent:
                raise ValueError(
                    f"{table} lacks the column {absent[0]}. Its columns are {header}. Is it the "
                    "right file, and whole?"
                )
            for values in filter(None, reader):
                # Kaggle's file has product names with bare commas: the last field takes the rest.
                values = values[: len(header) - 1] + [",".join(values[len(header) - 1 :])]
                row = zip(header, values, strict=False)
                yield reader.line_num, {name: value.strip() for name, value in row}
    except (csv.Error, UnicodeDecodeError) as error:
        decode_text(table.read_bytes(), str(table))  # raises with the line, where that is why
        raise ValueError(
            f"{table} is not a CSV file in UTF-8: {error}. Download it again"
        ) from error
