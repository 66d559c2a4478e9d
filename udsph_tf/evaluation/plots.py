"""Plots of evaluation results as PNG files; every direction is one line of the same axes."""

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from udsph_tf.evaluation.figures import STYLES, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_precision_at_k", "plot_precision_by_radius", "plot_precision_recall"]


def plot_precision_recall(results: Mapping[str, Mapping], path: str | os.PathLike) -> None:
    """Plot mean precision against mean recall, one point for each Hamming radius.

    A radius that no query answers has no point.

    Args:
        results: what `evaluate_directions` returns: a dict of directions.
        path: PNG file to write or replace; its folder must exist.

    Raises:
        ValueError: `results` has no direction, or one without "precision_recall_by_radius".
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> curve = {"radius": [0, 1], "precision": [None, 0.5], "recall": [0.0, 1.0]}
        >>> curve["answered"] = [0.0, 1.0]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "precision_recall.png")
        ...     plot_precision_recall(
        ...         {"image_to_text": {"num_bits": 8, "precision_recall_by_radius": curve}}, path
        ...     )
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, axes = _figure(results, "precision_recall_by_radius")
    for (name, result), style in _styled(results):
        curve = result["precision_recall_by_radius"]
        recall, precision = _numbers(curve["recall"]), _numbers(curve["precision"])
        axes.plot(recall, precision, label=_title(name), **style)
    axes.set(
        title=f"Precision and recall by Hamming radius{_bits(results)}",
        xlabel="Recall (mean over queries)",
        ylabel="Precision (mean over answered queries)",
        xlim=(-0.02, 1.02),
        ylim=(0, 1.02),
    )
    save_figure(figure, axes, path)


def plot_precision_at_k(results: Mapping[str, Mapping], path: str | os.PathLike) -> None:
    """Plot tie-averaged mean precision of the first k items against k, on a logarithmic axis.

    Args:
        results: what `evaluate_directions` returns: a dict of directions.
        path: PNG file to write or replace; its folder must exist.

    Raises:
        ValueError: `results` has no direction, or one without "precision_at_k".
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "precision_at_k.png")
        ...     plot_precision_at_k({"image_to_text": {"precision_at_k": {"1": 0.5}}}, path)
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, axes = _figure(results, "precision_at_k")
    cutoffs = set()
    for (name, result), style in _styled(results):
        points = sorted((int(k), value) for k, value in result["precision_at_k"].items())
        cutoffs.update(k for k, _ in points)
        axes.plot(
            [k for k, _ in points],
            _numbers([value for _, value in points]),
            label=_title(name),
            **style,
        )
    axes.set_xscale("log")
    axes.set_xticks(sorted(cutoffs), labels=[f"{k:,}" for k in sorted(cutoffs)])
    axes.set_xticks([], minor=True)
    axes.set(
        title=f"Precision at k{_bits(results)}",
        xlabel="k (first items of the ranking, log scale)",
        ylabel="Precision at k (mean over queries)",
        ylim=(0, 1.02),
    )
    save_figure(figure, axes, path)


def plot_precision_by_radius(results: Mapping[str, Mapping], path: str | os.PathLike) -> None:
    """Plot hash lookup against its radius: mean precision above, share of answered queries below.

    Read them together: precision at a small radius rests on the few queries answered there.

    Args:
        results: what `evaluate_directions` returns: a dict of directions.
        path: PNG file to write or replace; its folder must exist.

    Raises:
        ValueError: `results` has no direction, or one without "precision_recall_by_radius".
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> curve = {"radius": [0, 1], "precision": [None, 0.5], "recall": [0.0, 1.0]}
        >>> curve["answered"] = [0.0, 1.0]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "precision_by_radius.png")
        ...     plot_precision_by_radius(
        ...         {"image_to_text": {"num_bits": 8, "precision_recall_by_radius": curve}}, path
        ...     )
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, axes, below = _figure(results, "precision_recall_by_radius", panels=(3, 2))
    for (name, result), style in _styled(results):
        curve = result["precision_recall_by_radius"]
        # A marker on every bit would hide the dashes of longer codes.
        style["markevery"] = max(1, len(curve["radius"]) // 16)
        axes.plot(curve["radius"], _numbers(curve["precision"]), label=_title(name), **style)
        below.plot(curve["radius"], _numbers(curve["answered"]), **style)
    axes.set(
        title=f"Hash lookup within a Hamming radius{_bits(results)}",
        ylabel="Precision\n(mean over answered queries)",
        ylim=(0, 1.02),
    )
    longest = max(row["precision_recall_by_radius"]["radius"][-1] for row in results.values())
    below.set(
        xticks=range(0, longest + 1, max(1, longest // 8)),
        xlabel="Hamming radius (bits)",
        ylabel="Answered queries\n(share)",
        ylim=(0, 1.04),
    )
    save_figure(figure, axes, path)


def _figure(
    results: Mapping[str, Mapping], key: str, panels: tuple[int, ...] = (1,)
) -> tuple["Figure | Axes", ...]:
    if not results or not all(isinstance(row, Mapping) and key in row for row in results.values()):
        raise ValueError(
            f"`results` must map names of directions to results with `{key}`. "
            f"Received: keys {list(results)}"
        )
    return new_figure(panels)


def _styled(results: Mapping[str, Mapping]):
    line = {"linewidth": 1.6, "markersize": 3.8}
    for index, item in enumerate(results.items()):
        yield item, line | STYLES[index % len(STYLES)]


def _numbers(values: list[float | None]) -> list[float]:
    """Undefined values as NaN, which leaves a gap in the line."""
    return [math.nan if value is None else value for value in values]


def _title(name: str) -> str:
    return name.replace("_", " ")


def _bits(results: Mapping[str, Mapping]) -> str:
    lengths = sorted({row["num_bits"] for row in results.values() if "num_bits" in row})
    return f", {' / '.join(map(str, lengths))} bits" if lengths else ""
