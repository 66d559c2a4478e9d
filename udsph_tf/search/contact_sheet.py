"""A query and what was found for it, as one picture for people."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from udsph_tf.files import writing
from udsph_tf.search.hit import Hit
from udsph_tf.search.lettering import load_font, wrap
from udsph_tf.search.picture import decode_upright, fit_picture

__all__ = ["MAX_HITS", "Query", "draw_contact_sheet"]

MAX_HITS = 10
"""Number of hits a contact sheet shows."""

# All lengths in pixels.
_COLUMNS = 5
_MARGIN, _GAP, _PADDING = 32, 16, 14
_HEADING = 30
_PANEL_WIDTH = 288
_CARD_WIDTH, _CARD_PICTURE, _CARD_LINES = 188, 160, 3
_SMALL, _NORMAL, _LARGE, _WORDS = 13, 14, 17, 24
_CARD_HEIGHT = _PADDING + _CARD_PICTURE + 12 + 24 + _CARD_LINES * 19 + _PADDING

_PAGE, _CARD, _BORDER = "#f3f4f6", "#ffffff", "#dfe2e8"
_INK, _FADED, _ACCENT, _BLANK = "#1b2230", "#667085", "#2f5bd3", "#d5d9e0"


@dataclass(frozen=True)
class Query:
    """What was searched with: words, a picture, or a picture with words as its caption.

    Args:
        text: the words, or None.
        image: the bytes of the picture in any format Pillow reads, or None.

    Raises:
        ValueError: both are None.

    Example:
        >>> Query(text="a red dress").image is None
        True
    """

    text: str | None = None
    image: bytes | None = None

    def __post_init__(self):
        if self.text is None and self.image is None:
            raise ValueError("`Query` must have a text or an image. Received: neither")


def draw_contact_sheet(
    path: str | os.PathLike,
    query: Query,
    hits: Sequence[Hit],
    read_image: Callable[[str], bytes],
    *,
    font: str | os.PathLike | None = None,
) -> None:
    """Draw the query beside its nearest items and save the sheet as a PNG.

    The query stands at the left. At its right up to ten hits, five in a row, each with picture,
    rank, Hamming distance and words. A picture that cannot be read is drawn as a grey placeholder
    with the reason. The file appears whole or not at all.

    Args:
        path: where the PNG goes, ending in ".png"; its folder must exist.
        query: what was searched with.
        hits: the hits, nearest first; those after the tenth are left out.
        read_image: gives the bytes of a hit's picture for its `item.image`. An OSError,
            LookupError or ValueError from it becomes the reason on the placeholder.
        font: a TrueType or OpenType file to write with; by default DejaVu Sans, which has no
            Chinese, Japanese or Korean letters.

    Raises:
        ValueError: `path` does not end in ".png".
        OSError: the file or `font` cannot be written or read.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f'`path` must end in ".png". Received: path={os.fspath(path)!r}')
    hits = hits[:MAX_HITS]
    sheet = _Sheet(rows=max(1, -(-len(hits) // _COLUMNS)), font=font)
    sheet.draw_query(query)
    sheet.draw_heading(sheet.grid_left, "Nearest by Hamming distance" if hits else "Nothing found")
    for place, hit in enumerate(hits):
        sheet.draw_hit(place, hit, read_image)
    with writing(path) as temporary:
        sheet.image.save(temporary, format="PNG", optimize=True)


class _Sheet:
    """The page while it is being drawn."""

    def __init__(self, rows: int, font: str | os.PathLike | None):
        self.font = font
        self.top = _MARGIN + _HEADING
        self.grid_left = _MARGIN + _PANEL_WIDTH + 2 * _GAP
        self.panel_height = rows * (_CARD_HEIGHT + _GAP) - _GAP
        width = self.grid_left + _COLUMNS * (_CARD_WIDTH + _GAP) - _GAP + _MARGIN
        self.image = Image.new("RGB", (width, self.top + self.panel_height + _MARGIN), _PAGE)
        self.draw = ImageDraw.Draw(self.image)

    def draw_heading(self, left: int, text: str) -> None:
        self.write(left, _MARGIN, [text], _NORMAL, _FADED, bold=True)

    def draw_query(self, query: Query) -> None:
        kind = "words" if query.image is None else "picture"
        self.draw_heading(_MARGIN, f"Query: {kind}")
        left, top = _MARGIN, self.top
        self.draw_card(left, top, _PANEL_WIDTH, self.panel_height, _ACCENT, line=2)
        inner, centre = _PANEL_WIDTH - 2 * _PADDING, left + _PANEL_WIDTH // 2
        if query.image is None:
            most = self.panel_height // 40
            lines = wrap(query.text, self.load_font(_WORDS, bold=True), inner - 8, most)
            height = len(lines) * 34
            y = top + (self.panel_height - height) // 2
            self.write(centre, y, lines, _WORDS, _INK, bold=True, step=34, anchor="ma")
            return
        lines = wrap(query.text or "", self.load_font(_LARGE), inner, max_lines=4)
        words_height = len(lines) * 24 + 12 if lines else 0
        height = min(self.panel_height - 2 * _PADDING - words_height, 2 * inner)
        # Words stand right under the picture, and both together in the middle of the panel.
        picture = self.read_picture(lambda: query.image, inner, height)
        y = top + (self.panel_height - picture.height - words_height) // 2
        self.image.paste(picture, (centre - picture.width // 2, y))
        self.write(centre, y + picture.height + 12, lines, _LARGE, _INK, step=24, anchor="ma")

    def draw_hit(self, place: int, hit: Hit, read_image: Callable[[str], bytes]) -> None:
        row, column = divmod(place, _COLUMNS)
        left = self.grid_left + column * (_CARD_WIDTH + _GAP)
        top = self.top + row * (_CARD_HEIGHT + _GAP)
        self.draw_card(left, top, _CARD_WIDTH, _CARD_HEIGHT, _BORDER)
        picture = self.read_picture(
            lambda: read_image(hit.item.image), _CARD_PICTURE, _CARD_PICTURE
        )
        x = left + (_CARD_WIDTH - picture.width) // 2
        y = top + _PADDING + (_CARD_PICTURE - picture.height) // 2
        self.image.paste(picture, (x, y))

        x, y = left + _PADDING, top + _PADDING + _CARD_PICTURE + 12
        inner = _CARD_WIDTH - 2 * _PADDING
        self.write(x, y, [f"{hit.rank}"], _NORMAL, _ACCENT, bold=True)
        distance = f"d = {hit.distance}"
        x_distance = x + inner - self.load_font(_NORMAL).getlength(distance)
        self.write(x_distance, y, [distance], _NORMAL, _FADED)
        lines = wrap(hit.item.text, self.load_font(_SMALL), inner, _CARD_LINES)
        self.write(x, y + 24, lines, _SMALL, _INK)

    def draw_card(
        self, left: int, top: int, width: int, height: int, border: str, line: int = 1
    ) -> None:
        box = (left, top, left + width - 1, top + height - 1)
        self.draw.rounded_rectangle(box, radius=10, fill=_CARD, outline=border, width=line)

    def read_picture(self, read: Callable[[], bytes], width: int, height: int) -> Image.Image:
        """The picture scaled to the box, or a placeholder that says why there is none."""
        try:
            # Twice the size leaves the resampling something to work with.
            picture = decode_upright(read(), max_side=2 * max(width, height))
        except (OSError, LookupError, ValueError) as error:
            return self.draw_placeholder(_reason(error), width, min(width, height))
        return fit_picture(picture, width, height)

    def draw_placeholder(self, reason: str, width: int, height: int) -> Image.Image:
        placeholder = Image.new("RGB", (width, height), _BLANK)
        draw = ImageDraw.Draw(placeholder)
        font = self.load_font(_SMALL)
        lines = wrap(reason, font, width - 2 * _PADDING, max_lines=4)
        y = (height - 24 - len(lines) * 18) // 2
        title = self.load_font(_SMALL, bold=True)
        draw.text((width // 2, y), "no picture", _INK, title, anchor="ma")
        for number, line in enumerate(lines):
            draw.text((width // 2, y + 24 + 18 * number), line, _INK, font, anchor="ma")
        return placeholder

    def write(
        self,
        x: float,
        y: float,
        lines: Sequence[str],
        size: int,
        colour: str,
        *,
        bold: bool = False,
        step: int = 19,
        anchor: str = "la",
    ) -> None:
        font = self.load_font(size, bold=bold)
        for number, line in enumerate(lines):
            self.draw.text((x, y + number * step), line, colour, font, anchor)

    def load_font(self, size: int, *, bold: bool = False):
        return load_font(size, bold=bold, font=self.font)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # str() of a KeyError is the repr of its argument.
    reason = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return reason or type(error).__name__
