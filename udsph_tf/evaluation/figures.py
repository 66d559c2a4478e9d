"""What plots have in common: colours, axes, PNG files.

Figures are drawn without `pyplot`, so no global figure, backend or setting is touched.
"""

import io
import os
from typing import TYPE_CHECKING

from udsph_tf.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STYLES", "new_figure", "save_figure"]

_DPI = 120

STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)
"""Blue, vermilion, green, purple of Okabe and Ito: told apart with any colour vision; the markers
and dashes tell them apart in grey."""


def new_figure(panels: tuple[int, ...] = (1,)) -> tuple["Figure | Axes", ...]:
    """A figure and its axes, one above the other, with heights in these proportions.

    Example:
        >>> figure, above, below = new_figure((3, 2))
        >>> len(figure.axes)
        2
    """
    # Drawing is rare and matplotlib slow to import; training imports this package.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4 if len(panels) == 1 else 5.8), layout="constrained")
    column = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=panels)[:, 0]
    for axes in column:
        axes.grid(True, color="0.88", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, *column


def save_figure(figure: "Figure", axes: "Axes", path: str | os.PathLike) -> None:
    """Write a figure as PNG, with a legend in `axes`.

    Raises:
        OSError: the file cannot be written.
    """
    axes.legend(frameon=False, handlelength=3.2)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI)
    write_bytes(path, image.getvalue())
