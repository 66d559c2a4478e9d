"""Labels that the user supplies for a data set that has none: a CSV file with `id` and `labels`."""

import csv
from pathlib import Path

__all__ = ["read_labels"]


def read_labels(path: str | Path) -> dict[str, list[str]]:
    """Names of labels by item.

    Args:
        path: a CSV file in UTF-8 with the columns `id` and `labels`, the latter separated by `|`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, an id occurs twice, or it is not CSV in UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of labels {path}. data.labels names a CSV file with the columns "
            "id and labels (separated by `|`)"
        )
    labels: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if set(reader.fieldnames or ()) != {"id", "labels"}:
                raise ValueError(
                    f"{path} must have the columns id and labels. Received: {reader.fieldnames}"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"{path}, line {reader.line_num}: must have two fields")
                if row["id"] in labels:
                    raise ValueError(
                        f"{path}, line {reader.line_num}: the id {row['id']!r} occurs twice"
                    )
                labels[row["id"]] = [
                    each.strip() for each in row["labels"].split("|") if each.strip()
                ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}") from error
    return labels
