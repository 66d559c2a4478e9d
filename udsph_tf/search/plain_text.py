"""Any string as one line of known width, so that a table of strange texts stays a table."""

import unicodedata

__all__ = ["cut", "one_line", "width"]

ELLIPSIS = "…"


def one_line(text: str) -> str:
    """`text` with every run of blanks, line breaks and control characters as one space.

    Control characters would break a table or recolour a terminal, and half a surrogate pair can
    be neither printed nor drawn.

    Example:
        >>> one_line("red\\n\\tdress ")
        'red dress'
    """
    shown = (" " if unicodedata.category(mark) in ("Cc", "Cs") else mark for mark in text)
    return " ".join("".join(shown).split())


def width(text: str) -> int:
    """Number of terminal columns: 2 for an East Asian wide character, 0 for a combining mark.

    Example:
        >>> width("dress"), width("连衣裙")
        (5, 6)
    """
    return sum(map(_mark_width, text))


def cut(text: str, columns: int) -> str:
    """`text` if it fits into `columns`, else as much of it as fits before an ellipsis.

    Args:
        text: one line.
        columns: number of terminal columns, at least 1.

    Example:
        >>> cut("a red dress", 6)
        'a red…'
    """
    if width(text) <= columns:
        return text
    left = columns - width(ELLIPSIS)
    kept = []
    for mark in text:
        left -= _mark_width(mark)
        if left < 0:
            break
        kept.append(mark)
    return "".join(kept).rstrip() + ELLIPSIS


def _mark_width(mark: str) -> int:
    if unicodedata.category(mark) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(mark) in ("W", "F") else 1
