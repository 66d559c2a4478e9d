"""The user's own pairs: a CSV or JSONL file with picture, words and labels.

A row has `image` (a path inside the root), `text` and `labels`, and may have `id` (the image path
where it is left out). Labels are separated by `|` in CSV and are a list of strings in JSONL. All
rows may do without `labels`: pairs that belong together, and nothing that says what else is alike.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from udsph_tf.config import nearest
from udsph_tf.data.download import decode_text
from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["read_manifest"]

_REQUIRED = ("image", "text")
_COLUMNS = ("id", *_REQUIRED, "labels")
_NAMES = ("manifest.csv", "manifest.jsonl")


def read_manifest(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """Read `manifest.csv` or `manifest.jsonl` of a folder, or such a file by its own path.

    Args:
        root: the folder, which holds the pictures too, or the manifest inside that folder.

    Returns:
        The pairs, and the rows that cannot be used (no image path, empty text, no label where
        others have some).

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: a column is missing, in some rows alone, or unknown, an id occurs twice, a path
            leads out of the root, or a row is not well formed; the message names the line.
    """
    path = _find(Path(root))
    folder = path.parent.resolve()
    read = _read_jsonl if path.suffix == ".jsonl" else _read_csv
    rows, problems, seen, labelled = [], [], {}, None
    for line, row in read(path):
        image, text, labels = row["image"], row["text"], row.get("labels")
        if labelled is None:
            labelled = labels is not None
        if labelled != (labels is not None):
            before, here = ("", "none") if labelled else ("no ", "some")
            raise ValueError(
                f"{path}, line {line}: rows before it have {before}`labels`, and it has {here}. "
                "Give labels in all rows, or in none"
            )
        item = row.get("id") or image or f"line {line}"
        if item in seen:
            raise ValueError(
                f"{path}, line {line}: the id {item!r} occurs a second time (first in line "
                f"{seen[item]}). Every item needs its own `id`"
            )
        seen[item] = line
        try:
            target = (folder / image).resolve()
        except (ValueError, RuntimeError) as error:  # a zero byte, links in a circle
            raise ValueError(f"{path}, line {line}: the image path {image!r}: {error}") from error
        if not target.is_relative_to(folder):
            raise ValueError(
                f"{path}, line {line}: the image path {image!r} leads out of {folder}. "
                "Paths must stay inside the folder of the manifest"
            )
        if not image:
            problems.append(Problem(item, f"{path}, line {line}", "the image path is empty"))
        # "---" is no text either: the tokenizer would see nothing but punctuation.
        elif not re.search(r"\w", text):
            problems.append(Problem(item, f"{path}, line {line}", "the text is empty"))
        elif labelled and not labels:
            problems.append(Problem(item, f"{path}, line {line}", "the item has no label"))
        else:
            rows.append((item, str(target), text, labels or ()))
    if not rows and not problems:
        raise ValueError(f"{path} has no rows")
    labels, names = multi_hot(labels for *_, labels in rows)
    pairs = Pairs(
        name="manifest",
        ids=[row[0] for row in rows],
        images=[row[1] for row in rows],
        texts=[row[2] for row in rows],
        labels=labels,
        label_names=names,
    )
    return pairs, problems


def _find(root: Path) -> Path:
    if root.is_file():
        if root.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"A manifest is a .csv or .jsonl file. Received: {root}")
        return root
    found = [root / name for name in _NAMES if (root / name).is_file()]
    if not found:
        near = [path for name in _NAMES for path in (*root.glob(f"*/{name}"), root.parent / name)]
        hint = next((f"; or give {path}, if it is yours" for path in near if path.is_file()), "")
        raise FileNotFoundError(
            f"There is neither {_NAMES[0]} nor {_NAMES[1]} in {root}. Write one with the columns "
            f"image, text, labels (labels separated by `|`; or no such column){hint}"
        )
    if len(found) > 1:
        raise ValueError(f"{root} has both {_NAMES[0]} and {_NAMES[1]}; name one of them")
    return found[0]


def _read_csv(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or [])
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(
                        f"{path}, line {reader.line_num}: the row has not "
                        f"{len(reader.fieldnames)} fields as the header has; quote texts with "
                        "commas in them"
                    )
                if "labels" in row:
                    names = [name.strip() for name in row["labels"].split("|")]
                    row["labels"] = [name for name in names if name]
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.reader.line_num}: not CSV: {error}") from error
    except UnicodeDecodeError as error:
        decode_text(path.read_bytes(), str(path))  # raises with the line
        raise ValueError(f"{path} must be in UTF-8: {error}") from error


def _read_jsonl(path: Path) -> Iterator[tuple[int, dict]]:
    with path.open("rb") as file:
        for line, data in enumerate(file, start=1):
            if not data.strip():
                continue
            try:
                row = json.loads(data)
                # Half of an escaped surrogate pair is a string to Python, and no text.
                json.dumps(row, ensure_ascii=False).encode("utf-8")
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {line}: not JSON in UTF-8: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {line}: must be a JSON object")
            _check_columns(f"{path}, line {line}", row)
            for name in ("id", "image", "text"):
                if not isinstance(row.get(name, ""), str):
                    raise ValueError(f"{path}, line {line}: `{name}` must be a string")
            if "labels" in row:
                labels = row["labels"]
                if not isinstance(labels, list) or not all(
                    isinstance(name, str) for name in labels
                ):
                    raise ValueError(f"{path}, line {line}: `labels` must be a list of strings")
                row["labels"] = [each.strip() for each in labels if each.strip()]
            yield line, row


def _check_columns(where, columns) -> None:
    for name in columns:
        if list(columns).count(name) > 1:
            raise ValueError(f"{where}: the column `{name}` occurs twice")
        if name not in _COLUMNS:
            raise ValueError(f"{where}: unknown column `{name}`.{nearest(str(name), _COLUMNS)}")
    for name in _REQUIRED:
        if name not in columns:
            raise ValueError(f"{where}: the column `{name}` is missing. Columns: {list(columns)}")
