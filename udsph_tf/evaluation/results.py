"""Results of an evaluation as a JSON file for programs and as a table for people."""

import json
import os
from collections.abc import Mapping

from udsph_tf.files import write_text

__all__ = ["format_table", "write_results"]

_UNDEFINED = "-"


def write_results(path: str | os.PathLike, results: Mapping) -> None:
    """Write results as indented UTF-8 JSON, whole or not at all.

    Args:
        path: file to write or replace; its folder must exist.
        results: what `evaluate_retrieval` or `evaluate_directions` returns, or any mapping of
            JSON values. Undefined values are None and become null.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot say.
        TypeError: a value is none of JSON's types.
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "results.json")
        ...     write_results(path, {"map": 0.75, "map_stable": None})
        ...     json.loads(path.read_text())
        {'map': 0.75, 'map_stable': None}
    """
    try:
        text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(
            "`results` must hold finite numbers, and None where a value is undefined. "
            f"Received: {error}"
        ) from error
    write_text(path, text + "\n")


def format_table(
    results: Mapping[str, Mapping],
    *,
    precision_k: int = 10,
    recall_k: int = 100,
    ndcg_k: int = 100,
) -> str:
    """Align the main numbers of every direction in a plain-text table.

    A row is a direction; rows of its label groups follow, indented, with MAP only. A dash stands
    for a value that is undefined or was not computed. The MAP columns are tie-averaged over the
    whole ranking, with a 95 % interval over queries, and in stable order. NDCG has gain
    2^shared - 1.

    Args:
        results: what `evaluate_directions` returns: a dict of directions.
        precision_k: cutoff of the precision column.
        recall_k: cutoff of the recall column.
        ndcg_k: cutoff of the NDCG column.

    Returns:
        Lines without trailing spaces, joined by newlines.

    Raises:
        ValueError: `results` is empty or not a dict of directions.

    Example:
        >>> row = {"map": 0.75, "map_interval": [0.7, 0.8], "map_stable": 0.74}
        >>> row |= {"num_queries": 20, "num_skipped_queries": 1, "recall_at_k": {"100": 0.25}}
        >>> print(format_table({"to_text": row}))
        direction  queries  skipped     MAP      95% interval  stable MAP  P@10   R@100  NDCG@100
        to_text         20        1  0.7500  [0.7000, 0.8000]      0.7400     -  0.2500         -
    """
    if not results or not all(
        isinstance(row, Mapping) and "map" in row for row in results.values()
    ):
        raise ValueError(
            "`results` must map names of directions to results with a `map`. "
            f"Received: keys {list(results)}"
        )
    header = (
        "direction",
        "queries",
        "skipped",
        "MAP",
        "95% interval",
        "stable MAP",
        f"P@{precision_k}",
        f"R@{recall_k}",
        f"NDCG@{ndcg_k}",
    )
    at_k = (
        ("precision_at_k", precision_k),
        ("recall_at_k", recall_k),
        ("ndcg_exponential_at_k", ndcg_k),
    )
    rows = [header]
    for name, result in results.items():
        rows.append(_row(name, result, at_k))
        for group, group_result in result.get("by_label_group", {}).items():
            rows.append(_row(f"  {group}", group_result, at_k))

    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(name: str, result: Mapping, at_k: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    interval = result.get("map_interval")
    return (
        name,
        str(result.get("num_queries", _UNDEFINED)),
        str(result.get("num_skipped_queries", _UNDEFINED)),
        _number(result["map"]),
        f"[{interval[0]:.4f}, {interval[1]:.4f}]" if interval else _UNDEFINED,
        _number(result.get("map_stable")),
        *(_number(result.get(key, {}).get(str(k))) for key, k in at_k),
    )


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.4f}"
