"""The items of an index as a file: one JSON object a line."""

import json
import mmap
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.search.hit import Item

__all__ = ["StoredItems", "write_items"]

_FIELDS = ("id", "text", "image")
_DECODER = json.JSONDecoder()


def write_items(path: str | os.PathLike, items: Iterable[Item]) -> int:
    """Write items to a file, one JSON object a line, in ASCII.

    Line breaks, quotes and every character beyond ASCII are written as JSON escapes, so that any
    string survives, and a line of the file is always one item.

    Returns:
        Number of items written.

    Raises:
        ValueError: an item is not an `Item` of three strings and metadata of strings.
    """
    count = 0
    with open(path, "w", encoding="ascii", newline="\n") as file:
        for item in items:
            file.write(json.dumps(_as_json(item, count)) + "\n")
            count += 1
    return count


class StoredItems(Sequence[Item]):
    """The items of a file that `write_items` has written, parsed when they are asked for.

    A search shows ten items of millions, so the file stays bytes, with the place where each line
    ends: opening takes little longer than reading the file.

    Args:
        content: the bytes of the file, or the file mapped into memory.

    Raises:
        ValueError: the last line is cut off.

    Example:
        >>> items = StoredItems(b'{"id": "7", "text": "a red dress", "image": "7.jpg"}\\n')
        >>> len(items), items[0].text
        (1, 'a red dress')
    """

    def __init__(self, content: bytes | mmap.mmap):
        if len(content) and content[-1:] != b"\n":
            raise ValueError("`content` must end with a line break: its last item is cut off")
        self._content = content
        ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
        self._starts = np.append(0, ends + 1)

    @classmethod
    def read(cls, path: str | os.PathLike, *, mapped: bool = False) -> "StoredItems":
        """Read the file at `path`, or map it into memory."""
        if not mapped or not Path(path).stat().st_size:  # nothing cannot be mapped
            return cls(Path(path).read_bytes())
        with open(path, "rb") as file:
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, position):
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(f"there are {len(self)} items. Received: {position}")
        position %= len(self)
        begin, end = self._starts[position : position + 2].tolist()
        # Every search comes here for every hit: `json.loads` would look for the encoding first.
        content, _ = _DECODER.raw_decode(self._content[begin:end].decode("ascii"))
        metadata = content.get("metadata", {})
        return Item(
            content["id"],
            content["text"],
            content["image"],
            {name: tuple(values) for name, values in metadata.items()},
        )


def _as_json(item: Item, position: int) -> dict:
    values = [getattr(item, field, None) for field in _FIELDS]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(
            "`items` must hold `Item`s whose id, text and image are strings. "
            f"Received: {item!r} at position {position}"
        )
    content = dict(zip(_FIELDS, values, strict=True))
    if item.metadata:
        if not _is_metadata(item.metadata):
            raise ValueError(
                "The metadata of an `Item` must be tuples of strings by field, such as "
                f"{{'colour': ('red',)}}. Received: {item.metadata!r} at position {position}"
            )
        content["metadata"] = {name: list(values) for name, values in item.metadata.items()}
    return content


def _is_metadata(metadata) -> bool:
    return isinstance(metadata, Mapping) and all(
        isinstance(name, str)
        and isinstance(values, (list, tuple))
        and all(isinstance(value, str) for value in values)
        for name, values in metadata.items()
    )
