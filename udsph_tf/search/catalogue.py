"""The items of all shards of an index: by position, by id, by metadata; some of them deleted."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from udsph_tf.search.facets import Facets, check_filters
from udsph_tf.search.hit import Item
from udsph_tf.search.identifiers import Identifiers, id_hash

__all__ = ["Catalogue"]


class Catalogue(Sequence[Item]):
    """Items by position; a position is never given away again, even when its item is deleted.

    Args:
        parts: of every shard its items, identifiers, facets, and which items are alive: a mask,
            or None where all are.

    Example:
        >>> items = [Item("a", "", "", {"colour": ("red",)}), Item("b", "", "")]
        >>> catalogue = Catalogue.of(items)
        >>> catalogue.find("b"), catalogue.mask({"colour": ["red"]}).tolist()
        (1, [True, False])
    """

    def __init__(
        self, parts: Sequence[tuple[Sequence[Item], Identifiers, Facets, np.ndarray | None]]
    ):
        self._parts = list(parts)
        self._ends = list(accumulate(len(items) for items, *_ in self._parts))
        if all(alive is None for *_, alive in self._parts):
            self.alive = None
        else:
            self.alive = np.concatenate(
                [
                    np.ones(len(items), bool) if alive is None else alive
                    for items, _, _, alive in self._parts
                ]
            )

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Catalogue":
        """A catalogue of items in memory."""
        identifiers = Identifiers([id_hash(item.id) for item in items])
        return cls([(items, identifiers, Facets.of(item.metadata for item in items), None)])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position):
        if isinstance(position, slice):
            return [self[place] for place in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(f"there are {len(self)} positions. Received: {position}")
        position = int(position) % len(self)
        part = bisect_right(self._ends, position)
        # Counted from the part's end, as negative positions are.
        return self._parts[part][0][position - self._ends[part]]

    @property
    def num_alive(self) -> int:
        """Number of items that are not deleted."""
        return len(self) if self.alive is None else int(self.alive.sum())

    def places(self) -> np.ndarray:
        """Rising positions of the items that are not deleted."""
        return np.arange(len(self)) if self.alive is None else np.flatnonzero(self.alive)

    def find(self, name: str) -> int | None:
        """Position of the item with this id, or None where there is none or it is deleted."""
        start = 0
        for items, identifiers, _, alive in self._parts:
            place = identifiers.find(name, items)
            if place is not None and (alive is None or alive[place]):
                return start + place
            start += len(items)
        return None

    def mask(self, filters: Mapping[str, Sequence[str]] | None = None) -> np.ndarray | None:
        """(len(self),) bool: which items a search may return; None where all.

        Args:
            filters: values by field; an item must have, in every field, one of the values.

        Raises:
            ValueError: `filters` is not sequences of strings by field.
        """
        if not filters:
            return self.alive
        check_filters(filters)
        masks = [
            facets.mask(filters) if alive is None else facets.mask(filters) & alive
            for _, _, facets, alive in self._parts
        ]
        return np.concatenate(masks) if masks else np.empty(0, bool)

    def facets(self) -> dict[str, dict[str, int]]:
        """Number of items by field and value."""
        total: dict[str, dict[str, int]] = {}
        for _, _, facets, alive in self._parts:
            for field, values in facets.counts(alive).items():
                counts = total.setdefault(field, {})
                for value, number in values.items():
                    if number:
                        counts[value] = counts.get(value, 0) + number
        return {field: dict(sorted(values.items())) for field, values in sorted(total.items())}
