"""Fashion Product Images (Kaggle: paramaggarwal/fashion-product-images-small).

Layout: `styles.csv` and either the folder `images/` or the archive `images.zip` beside it.
The text of an item is its productDisplayName; its labels are its subCategory and articleType.
"""

import csv
import zipfile
from pathlib import Path

import numpy as np

from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["keep_common_articles", "read_fashion"]

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
_MISSING = ("", "NA", "nan")
_MIN_ARTICLE_ITEMS = 100


def read_fashion(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """Read Kaggle's layout; rows with a missing field are reported and left out.

    Args:
        root: the folder that holds `styles.csv` and the pictures.

    Returns:
        The pairs, and the rows that cannot be used.

    Raises:
        FileNotFoundError: `styles.csv` or the pictures are not where they should be.
        ValueError: a column is missing.
    """
    root = Path(root)
    table = root / "styles.csv"
    if not table.is_file():
        raise FileNotFoundError(
            f"There is no {table}. `--root` must be the unpacked Kaggle folder "
            "fashion-product-images-small, with styles.csv and images/ (or images.zip) in it"
        )
    source = _image_source(root)
    rows, problems = [], []
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        absent = [name for name in _COLUMNS if name not in header]
        if absent:
            raise ValueError(f"{table} lacks the column {absent[0]}. Its columns are {header}")
        for values in reader:
            # Kaggle's file has product names with bare commas: the last field takes the rest.
            values = values[: len(header) - 1] + [",".join(values[len(header) - 1 :])]
            row = {name: value.strip() for name, value in zip(header, values, strict=False)}
            empty = [name for name in _COLUMNS if row.get(name, "") in _MISSING]
            if empty:
                problems.append(
                    Problem(row.get("id", "?"), str(table), f"the field {empty[0]} is missing")
                )
            else:
                rows.append(row)
    labels, names = multi_hot(
        [f"subCategory={row['subCategory']}", f"articleType={row['articleType']}"] for row in rows
    )
    pairs = Pairs(
        name="fashion",
        ids=[row["id"] for row in rows],
        images=[source(row["id"]) for row in rows],
        texts=[row["productDisplayName"] for row in rows],
        labels=labels,
        label_names=names,
    )
    return pairs, problems


def keep_common_articles(pairs: Pairs) -> Pairs:
    """Only items whose articleType has at least 100 items, as the protocol asks."""
    columns = pairs.label_groups()["articleType"]
    common = pairs.labels[:, columns].sum(axis=0) >= _MIN_ARTICLE_ITEMS
    keep = (pairs.labels[:, columns] * common.astype(np.uint8)).any(axis=1)
    return pairs.take(keep).drop_unused_labels()


def _image_source(root: Path):
    folder, archive = root / "images", root / "images.zip"
    if folder.is_dir():
        base = folder.resolve()
        return lambda item: str(base / f"{item}.jpg")
    if archive.is_file():
        try:
            with zipfile.ZipFile(archive) as members:
                names = {Path(name).name: name for name in members.namelist()}
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{archive} is not a complete zip archive ({error}); download it again"
            ) from error
        return lambda item: f"zip:{archive.resolve()}!{names.get(f'{item}.jpg', f'{item}.jpg')}"
    raise FileNotFoundError(f"There is neither {folder}/ nor {archive}")
