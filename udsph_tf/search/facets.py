"""Which items have which value of their metadata: positions by field and value."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.files import load_array

__all__ = ["Facets", "check_filters"]

_NAMES, _POSITIONS = "facets.json", "facets.npy"


class Facets:
    """Positions of items by field and value of their metadata.

    Args:
        size: number of items.
        positions: by field and value, the rising positions of the items that have the value.

    Example:
        >>> facets = Facets.of([{"colour": ("red",)}, {"colour": ("red", "white")}, {}])
        >>> facets.mask({"colour": ["white", "blue"]}).tolist()
        [False, True, False]
        >>> facets.counts()
        {'colour': {'red': 2, 'white': 1}}
    """

    FILES = (_NAMES, _POSITIONS)

    def __init__(self, size: int, positions: Mapping[str, Mapping[str, np.ndarray]]):
        self._size = size
        self._positions = positions

    @classmethod
    def of(cls, metadata: Iterable[Mapping[str, Sequence[str]]]) -> "Facets":
        """Facets of items with this metadata, one mapping an item."""
        found: dict[str, dict[str, list[int]]] = {}
        size = 0
        for each in metadata:
            for field, values in each.items():
                for value in dict.fromkeys(values):
                    found.setdefault(field, {}).setdefault(value, []).append(size)
            size += 1
        return cls(
            size,
            {
                field: {value: np.array(places, np.int32) for value, places in sorted(all_.items())}
                for field, all_ in sorted(found.items())
            },
        )

    def __len__(self) -> int:
        return self._size

    def mask(self, filters: Mapping[str, Sequence[str]]) -> np.ndarray:
        """(len(self),) bool: items that have, in every field named, one of the values named."""
        mask = np.ones(self._size, dtype=bool)
        for field, values in filters.items():
            having = np.zeros(self._size, dtype=bool)
            for value in values:
                having[self._positions.get(field, {}).get(value, [])] = True
            mask &= having
        return mask

    def counts(self, alive: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """Number of items by field and value, of those that `alive` (a mask) lets through."""
        return {
            field: {
                value: int(len(places) if alive is None else alive[places].sum())
                for value, places in values.items()
            }
            for field, values in self._positions.items()
        }

    def write(self, folder: str | os.PathLike) -> None:
        """Write `facets.json` and `facets.npy` into a folder."""
        ends, parts, end = {}, [np.empty(0, np.int32)], 0
        for field, values in self._positions.items():
            ends[field] = {}
            for value, places in values.items():
                end += len(places)
                ends[field][value] = end
                parts.append(np.asarray(places, np.int32))
        np.save(Path(folder, _POSITIONS), np.concatenate(parts))
        content = json.dumps({"size": self._size, "ends": ends}) + "\n"
        Path(folder, _NAMES).write_text(content, encoding="ascii")

    @classmethod
    def read(cls, folder: str | os.PathLike, *, mapped: bool = False) -> "Facets":
        """Read what `write` has written.

        Raises:
            ValueError: a file is not whole.
        """
        content = json.loads(Path(folder, _NAMES).read_text(encoding="ascii"))
        places = load_array(Path(folder, _POSITIONS), mapped=mapped)
        positions, start = {}, 0
        for field, values in content["ends"].items():
            positions[field] = {}
            for value, end in values.items():
                positions[field][value] = places[start:end]
                start = end
        return cls(content["size"], positions)


def check_filters(filters: Mapping[str, Sequence[str]]) -> None:
    """Refuse filters that are not sequences of strings by field.

    Raises:
        ValueError: they are not.
    """
    good = isinstance(filters, Mapping) and all(
        isinstance(field, str)
        and isinstance(values, Sequence)
        and not isinstance(values, str)
        and all(isinstance(value, str) for value in values)
        for field, values in filters.items()
    )
    if not good:
        raise ValueError(
            "`filters` must be sequences of values by field, such as {'colour': ['red']}. "
            f"Received: {filters!r}"
        )
