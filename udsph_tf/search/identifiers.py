"""From an item's id to its position, without reading the items."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udsph_tf.files import load_array
from udsph_tf.search.hit import Item

__all__ = ["Identifiers", "id_hash"]

_FILE = "ids.npy"
_ENTRY = np.dtype([("hash", "<u8"), ("position", "<i8")])


def id_hash(name: str) -> int:
    """64 bits of BLAKE2 of an id."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class Identifiers:
    """Positions by the hash of an item's id.

    Args:
        hashes: `id_hash` of every id, in the order of the positions.

    Example:
        >>> items = [Item("a", "", ""), Item("b", "", "")]
        >>> Identifiers([id_hash("a"), id_hash("b")]).find("b", items)
        1
    """

    FILES = (_FILE,)

    def __init__(self, hashes: Sequence[int] = ()):
        self._entries = np.empty(len(hashes), _ENTRY)
        self._entries["hash"] = np.array(hashes, np.uint64)
        self._entries["position"] = np.arange(len(hashes))
        self._entries.sort(order=["hash", "position"])

    def find(self, name: str, items: Sequence[Item]) -> int | None:
        """Position of the item with this id, or None.

        Args:
            name: the id.
            items: by position; two ids of one hash are told apart by them.
        """
        wanted = np.uint64(id_hash(name))
        place = int(np.searchsorted(self._entries["hash"], wanted))
        while place < len(self._entries) and self._entries["hash"][place] == wanted:
            position = int(self._entries["position"][place])
            if items[position].id == name:
                return position
            place += 1
        return None

    def first_repeated(self, items: Sequence[Item]) -> str | None:
        """An id that two items have, or None."""
        hashes = self._entries["hash"]
        for place in np.flatnonzero(hashes[1:] == hashes[:-1]):
            start = np.searchsorted(hashes, hashes[place])
            places = self._entries["position"][start : place + 2]
            names = [items[int(each)].id for each in places]
            if len(set(names)) < len(names):
                return names[-1]
        return None

    def write(self, folder: str | os.PathLike) -> None:
        """Write `ids.npy` into a folder."""
        np.save(Path(folder, _FILE), self._entries)

    @classmethod
    def read(cls, folder: str | os.PathLike, *, mapped: bool = False) -> "Identifiers":
        """Read what `write` has written.

        Raises:
            ValueError: the file is not whole.
        """
        read = cls()
        read._entries = load_array(Path(folder, _FILE), mapped=mapped)
        return read
