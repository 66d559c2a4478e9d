"""Words in a picture: the font, and lines that fit a width in pixels."""

import functools
import os
from pathlib import Path

from PIL import ImageFont

from udsph_tf.search.plain_text import ELLIPSIS, one_line

__all__ = ["load_font", "wrap"]


@functools.lru_cache(maxsize=32)
def load_font(
    size: int, *, bold: bool = False, font: str | os.PathLike | None = None
) -> ImageFont.FreeTypeFont:
    """A font of `size` pixels: DejaVu Sans, which comes with Matplotlib, or the file `font`.

    DejaVu Sans has Latin, Greek, Cyrillic, Arabic and Hebrew letters. What it lacks, such as
    Chinese and Japanese, is drawn as empty boxes unless `font` names a file that has it.

    Args:
        size: height in pixels, positive.
        bold: whether DejaVu Sans is bold; a `font` file is used as it is.
        font: a TrueType or OpenType file.

    Raises:
        OSError: `font` cannot be read.
    """
    if font is None:
        # Matplotlib is slow to import, and only a picture needs it.
        import matplotlib

        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        font = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    return ImageFont.truetype(os.fspath(font), size)


def wrap(text: str, font: ImageFont.FreeTypeFont, max_width: int, max_lines: int) -> list[str]:
    """Break `text` into lines no wider than `max_width`; what is left over becomes an ellipsis.

    A word wider than a line is broken where it must be, so that writing without blanks between
    words wraps too.

    Args:
        text: any string; its own line breaks count as blanks.
        font: what it will be drawn with.
        max_width: width of a line in pixels.
        max_lines: number of lines, at least 1.

    Returns:
        At most `max_lines` lines, none for an empty text.
    """
    lines = []
    rest = one_line(text)
    while rest and len(lines) < max_lines:
        end = _fitting(rest, font, max_width)
        if end < len(rest):
            blank = rest.rfind(" ", 0, end + 1)
            end = blank if blank > 0 else end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest:
        last = lines[-1]
        while last and font.getlength(last + ELLIPSIS) > max_width:
            last = last[:-1].rstrip()
        lines[-1] = last + ELLIPSIS
    return lines


def _fitting(text: str, font: ImageFont.FreeTypeFont, max_width: int) -> int:
    """Number of leading characters that fit into `max_width`, at least 1."""
    low, high = 1, len(text)
    # A line of more characters than pixels cannot fit; this keeps a very long text cheap.
    high = min(high, max(1, max_width))
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= max_width:
            low = middle
        else:
            high = middle - 1
    return low
