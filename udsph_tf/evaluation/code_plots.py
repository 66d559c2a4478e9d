"""Plots of a report on codes, as PNG files."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from udsph_tf.evaluation.figures import STYLES, new_figure, save_figure

__all__ = ["plot_bits", "plot_code_distances"]


def plot_bits(report: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Plot for every bit the share of items where it is 1; of new items in a panel below.

    Args:
        report: what `report_codes` returns.
        path: PNG file to write or replace; its folder must exist.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> from udsph_tf.evaluation import report_codes
        >>> report = report_codes({"image": np.array([[128], [128], [0]], np.uint8)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "bits.png")
        ...     plot_bits(report, path)
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    with_new = "drifted" in report
    figure, axes, *below = new_figure((1, 1) if with_new else (1,))
    for (modality, each), style in zip(report["modalities"].items(), STYLES, strict=False):
        shape = {"marker": style["marker"], "color": style["color"], "markersize": 3.5}
        axes.plot(each["bits"]["ones"], linestyle="none", label=modality, **shape)
        for panel in below:
            shift = np.subtract(each["drift"]["ones"], each["bits"]["ones"])
            panel.plot(shift, linestyle="none", **shape)
    axes.axhline(0.5, color="0.4", linewidth=0.8)
    axes.set(
        title=f"Balance of {report['num_bits']} bits, {report['items']:,} items",
        ylabel="Share of items with a 1",
        ylim=(-0.03, 1.03),
    )
    for panel in below:
        panel.axhline(0, color="0.4", linewidth=0.8)
        panel.set_ylabel(f"Shift of that share in\n{report['new_items']:,} new items")
    (below or [axes])[-1].set_xlabel("Bit")
    save_figure(figure, axes, path)


def plot_code_distances(report: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Plot how often each Hamming distance occurs between two items, old ones and new ones apart.

    Below stands the distance between the picture and the words of one item, where it is known.

    Args:
        report: what `report_codes` returns.
        path: PNG file to write or replace; its folder must exist.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> from udsph_tf.evaluation import report_codes
        >>> report = report_codes({"image": np.array([[128], [128], [0]], np.uint8)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "distances.png")
        ...     plot_code_distances(report, path)
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    figure, axes, *below = new_figure((3, 2) if "own" in report else (1,))
    for (modality, each), style in zip(report["modalities"].items(), STYLES, strict=False):
        axes.plot(
            _shares(each["distances"]), color=style["color"], label=f"{modality} to {modality}"
        )
        if "drift" in each:
            axes.plot(
                _shares(each["drift"]["distances"]),
                color=style["color"],
                linestyle=":",
                label=f"{modality}, new items",
            )
    axes.set(
        title=f"Distances between two items, {report['num_bits']} bits",
        ylabel="Share of pairs",
        ylim=(0, None),
    )
    for panel in below:
        panel.plot(_shares(report["own"]), color="0.2")
        if "new_own" in report:
            panel.plot(_shares(report["new_own"]), color="0.2", linestyle=":")
        panel.set_ylabel("Picture to its\nown words, share")
        panel.set_ylim(0, None)
    (below or [axes])[-1].set_xlabel("Hamming distance (bits)")
    save_figure(figure, axes, path)


def _shares(histogram: Mapping[str, Any]) -> np.ndarray:
    counts = np.array(histogram["counts"], np.float64)
    return counts / max(counts.sum(), 1)
