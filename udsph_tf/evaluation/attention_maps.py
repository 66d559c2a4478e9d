"""What cross-modal attention looks at, as a PNG: each word's region weights over its picture.

The figure is drawn without `pyplot`, so no global figure, backend or setting is touched.
"""

import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from udsph_tf.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

__all__ = ["AttendedPair", "plot_attention"]

_DPI = 120
# Inches.
_PANEL_WIDTH, _PANEL_HEIGHT, _CAPTION_HEIGHT, _SCALE_HEIGHT = 1.5, 1.8, 0.22, 0.75
_WORDS_IN_ROW = 7
_MAX_ROWS = 100
_MAX_WORD_LENGTH = 18
# Light where a word looks and dark where it does not; told apart with any colour vision.
_COLOURS, _OPACITY = "inferno", 0.6
_GREY = (0.299, 0.587, 0.114)
_INK, _FADED = "#1b2230", "#667085"


@dataclass(frozen=True)
class AttendedPair:
    """A picture and a text, with what each word looks at.

    Args:
        title: names the pair, such as its id and its text.
        picture: (height, width, 3) uint8, of any size.
        words: num_words strings.
        weights: (num_words, rows, columns), each word's weights over the cells of the picture.
        agreement: (num_words,), in [-1, 1].

    Raises:
        ValueError: there is no word, or the shapes do not fit.

    Example:
        >>> picture, weights = np.zeros((8, 8, 3), np.uint8), np.full((1, 2, 2), 0.25)
        >>> AttendedPair("17: shoe", picture, ["shoe"], weights, np.array([0.5])).weights.shape
        (1, 2, 2)
    """

    title: str
    picture: np.ndarray
    words: Sequence[str]
    weights: np.ndarray
    agreement: np.ndarray

    def __post_init__(self):
        number, weights = len(self.words), np.shape(self.weights)
        if not number:
            raise ValueError("`words` must hold at least one word. Received: none")
        if np.ndim(self.picture) != 3 or np.shape(self.picture)[2] != 3:
            raise ValueError(
                "`picture` must be of shape (height, width, 3). "
                f"Received: shape={np.shape(self.picture)}"
            )
        if len(weights) != 3 or weights[0] != number or np.shape(self.agreement) != (number,):
            raise ValueError(
                "`weights` must be of shape (num_words, rows, columns) and `agreement` of shape "
                f"(num_words,). Received: {number} words, shapes {weights} and "
                f"{np.shape(self.agreement)}"
            )


def plot_attention(pairs: Sequence[AttendedPair], path: str | os.PathLike) -> None:
    """Draw each pair as a row: its picture, then one panel for each word.

    A word's panel shows the picture in grey under a translucent heat map of the word's weights,
    and above it the word and its agreement. The colours are those of sqrt(weight), from 0 to 1 in
    every figure, so figures can be compared. A text of more than seven words goes on in the next
    row.

    Args:
        pairs: at least one, with equally many cells.
        path: PNG file to write or replace, ending in ".png"; its folder must exist.

    Raises:
        ValueError: there is no pair or too many, their cells differ, or `path` is no PNG.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> picture, weights = np.zeros((8, 8, 3), np.uint8), np.full((1, 2, 2), 0.25)
        >>> pair = AttendedPair("17: shoe", picture, ["shoe"], weights, np.array([0.5]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "attention.png")
        ...     plot_attention([pair], path)
        ...     path.read_bytes()[1:4]
        b'PNG'
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f'`path` must end in ".png". Received: path={os.fspath(path)!r}')
    cells = _cells(pairs)
    columns = 1 + min(_WORDS_IN_ROW, max(len(pair.words) for pair in pairs))
    rows = [-(-len(pair.words) // (columns - 1)) for pair in pairs]
    if sum(rows) > _MAX_ROWS:
        raise ValueError(
            f"`pairs` must fit into {_MAX_ROWS} rows of panels; draw fewer. "
            f"Received: {len(pairs)} pairs of {sum(rows)} rows"
        )
    # Drawing is rare and matplotlib slow to import; training imports this package.
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    heights = [_CAPTION_HEIGHT + _PANEL_HEIGHT * number for number in rows] + [_SCALE_HEIGHT]
    # With fewer columns there would be no room for the scale.
    columns = max(columns, 4)
    figure = Figure(figsize=(_PANEL_WIDTH * columns, sum(heights)), layout="constrained")
    blocks = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    scale = PowerNorm(0.5, 0, 1)
    for block, pair, number in zip(blocks, pairs, rows, strict=False):
        caption = _one_line(pair.title, 17 * columns)
        block.suptitle(caption, x=0.01, ha="left", size=10, color=_INK, parse_math=False)
        panels = block.subplots(number, columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        panels[0, 0].imshow(pair.picture)
        for index in range(len(pair.words)):
            row, column = divmod(index, _WORDS_IN_ROW)
            _draw_word(panels[row, column + 1], pair, index, scale)
    _draw_scale(blocks[-1], scale, cells)
    _save(figure, path)


def _cells(pairs: Sequence[AttendedPair]) -> int:
    grids = sorted({np.shape(pair.weights)[1:] for pair in pairs})
    if len(grids) != 1:
        raise ValueError(
            f"`pairs` must be at least one, all of the same rows and columns. Received: {grids}"
        )
    return int(np.prod(grids[0]))


def _draw_word(axes: "Axes", pair: AttendedPair, index: int, scale: "Normalize") -> None:
    height, width = np.shape(pair.picture)[:2]
    # In grey, so that every colour is the heat map's.
    axes.imshow(pair.picture @ np.array(_GREY), cmap="gray", vmin=0, vmax=255)
    axes.imshow(
        pair.weights[index],
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        cmap=_COLOURS,
        norm=scale,
        alpha=_OPACITY,
        interpolation="nearest",
    )
    word = _one_line(pair.words[index], _MAX_WORD_LENGTH)
    title = f"{word}\n{pair.agreement[index]:z.2f}"
    axes.set_title(title, size=9, color=_INK, pad=3, parse_math=False)


def _draw_scale(block: "Figure", scale: "Normalize", cells: int) -> None:
    from matplotlib.cm import ScalarMappable

    axes = block.add_axes((0.02, 0.7, 0.4, 0.13))
    colours = ScalarMappable(scale, _COLOURS)
    bar = block.colorbar(colours, cax=axes, orientation="horizontal", alpha=_OPACITY)
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1], labels=["0", ".05", ".25", ".5", "1"])
    axes.tick_params(labelsize=7, colors=_FADED)
    note = {"size": 8, "color": _FADED, "va": "center"}
    block.text(0.02, 0.22, f"share of a word's attention; {1 / cells:.3f} where it is even", **note)
    block.text(0.45, 0.76, "below a word: its agreement, -1 to 1", **note)


def _one_line(text: str, length: int) -> str:
    """As one line, cut to `length`, without what would be drawn as a box or not at all."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _save(figure: "Figure", path: str | os.PathLike) -> None:
    image = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes, which shows it.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(image, format="png", dpi=_DPI)
    write_bytes(path, image.getvalue())
