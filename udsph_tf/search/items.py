"""The items of an index as a file: one JSON object a line."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.search.hit import Item

__all__ = ["StoredItems", "write_items"]

_FIELDS = ("id", "text", "image")


def write_items(path: str | os.PathLike, items: Iterable[Item]) -> int:
    """Write items to a file, one JSON object a line, in ASCII.

    Line breaks, quotes and every character beyond ASCII are written as JSON escapes, so that any
    string survives, and a line of the file is always one item.

    Returns:
        Number of items written.

    Raises:
        ValueError: an item is not an `Item` of three strings.
    """
    count = 0
    with open(path, "w", encoding="ascii", newline="\n") as file:
        for item in items:
            values = [getattr(item, field, None) for field in _FIELDS]
            if not all(isinstance(value, str) for value in values):
                raise ValueError(
                    "`items` must hold `Item`s whose id, text and image are strings. "
                    f"Received: {item!r} at position {count}"
                )
            file.write(json.dumps(dict(zip(_FIELDS, values, strict=True))) + "\n")
            count += 1
    return count


class StoredItems(Sequence[Item]):
    """The items of a file that `write_items` has written, parsed when they are asked for.

    A search shows ten items of millions, so the file stays bytes in memory, with the place where
    each line ends: opening takes little longer than reading the file.

    Args:
        content: the bytes of the file.

    Raises:
        ValueError: the last line is cut off.

    Example:
        >>> items = StoredItems(b'{"id": "7", "text": "a red dress", "image": "7.jpg"}\\n')
        >>> len(items), items[0].text
        (1, 'a red dress')
    """

    def __init__(self, content: bytes):
        if content and not content.endswith(b"\n"):
            raise ValueError("`content` must end with a line break: its last item is cut off")
        self._content = content
        self._ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))

    @classmethod
    def read(cls, path: str | os.PathLike) -> "StoredItems":
        """Read the file at `path`."""
        return cls(Path(path).read_bytes())

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, position):
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(len(self)))]
        end = self._ends[position]
        position = int(position) % len(self)
        begin = self._ends[position - 1] + 1 if position else 0
        return Item(**json.loads(self._content[begin:end]))
