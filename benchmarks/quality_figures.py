"""Pictures of `quality.py`: learning curves, and how far variants are from a baseline."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from udsph_tf.evaluation.figures import STYLES
from udsph_tf.files import writing

__all__ = ["draw_curves", "draw_differences"]

_DIRECTIONS = ("I->T", "T->I")


def draw_curves(path: Path, runs: Sequence[Mapping]) -> bool:
    """The validation score after each epoch, a line for each variant, the mean of its seeds.

    Returns:
        False, and no picture, where no run has such scores.
    """
    curves: dict[str, list] = {}
    for run in runs:
        if run["validation_score_by_epoch"]:
            curves.setdefault(run["variant"], []).append(run["validation_score_by_epoch"])
    if not curves:
        return False
    means = {}
    for name, seeds in curves.items():
        length = min(len(each) for each in seeds)
        means[name] = np.mean([each[:length] for each in seeds], axis=0)
    figure = Figure(figsize=(9.5, max(4.5, 0.25 * len(means))), layout="constrained")
    axes = figure.subplots()
    colours = matplotlib.colormaps["tab10"].colors
    for number, (name, mean) in enumerate(means.items()):
        style = ("-", "--", ":")[number // len(colours) % 3]
        colour = colours[number % len(colours)]
        axes.plot(np.arange(1, len(mean) + 1), mean, style, color=colour, label=name)
    # The first steps are steep and would press everything that follows into one line.
    lowest = min(mean[len(mean) // 10 :].min() for mean in means.values())
    highest = max(mean.max() for mean in means.values())
    margin = max(0.01, 0.04 * (highest - lowest))
    axes.set_ylim(lowest - margin, highest + margin)
    axes.set(xlabel="epoch", ylabel="validation score, mean of both directions and seeds")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    _save(figure, path)
    return True


def draw_differences(path: Path, changes: Mapping, measures: Sequence[str], baseline: str) -> bool:
    """Each variant's difference to the baseline with its interval; a panel for each measure that
    has both directions.

    Args:
        path: where to.
        changes: `{(variant, num_bits): (seeds, [(mean, half-width) or None of each measure])}`.
        measures: the names of these measures.
        baseline: what the variants are compared with.

    Returns:
        False, and no picture, where there is nothing to compare.
    """
    names = [each.removesuffix(f" {_DIRECTIONS[0]}") for each in measures]
    panels = [name for name in names if all(f"{name} {way}" in measures for way in _DIRECTIONS)]
    if not changes or not panels:
        return False
    height = 1.2 + 0.3 * len(changes)
    figure = Figure(figsize=(3 + 2.6 * len(panels), height), layout="constrained")
    several = len({num_bits for _, num_bits in changes}) > 1
    rows = [f"{name}, {num_bits} bits" if several else name for name, num_bits in changes]
    for axes, name in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        axes.axvline(0, color="0.5", linewidth=1)
        for way, style, shift in zip(_DIRECTIONS, STYLES[:2], (-0.13, 0.13), strict=True):
            column = measures.index(f"{name} {way}")
            points = [
                (row + shift, *cells[column])
                for row, (_, cells) in enumerate(changes.values())
                if cells[column] is not None
            ]
            at, means, halves = np.array(points).reshape(-1, 3).T
            look = {**style, "linestyle": "none"}
            axes.errorbar(means, at, xerr=halves, label=way, markersize=4, capsize=2, **look)
        axes.set_title(name, fontsize="medium")
        axes.grid(axis="x", alpha=0.3)
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.supxlabel(f"difference to {baseline}, 95 % interval", fontsize="medium")
    _save(figure, path)
    return True


def _save(figure: Figure, path: Path) -> None:
    with writing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
