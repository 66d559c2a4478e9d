"""A database that can be searched: codes, and the items behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from udsph_tf.search.catalogue import Catalogue
from udsph_tf.search.hit import Hit, Item
from udsph_tf.search.index import HammingIndex, checked_k
from udsph_tf.search.reranking import asymmetric_distance

__all__ = ["StoredIndex"]


@dataclass(frozen=True)
class StoredIndex:
    """A database that can be searched: codes of both modalities and the items behind them.

    Args:
        image: the codes of the items' images.
        text: the codes of the items' texts; position i is the same item as in `image`.
        items: the items by position, as a `Catalogue` or any sequence of `Item`s.
        model_checksum: names the model that made the codes.
        metadata: what the writer of the index wanted to remember.
        fused: one code an item, of picture and words together; None where there are none.
        nested: lengths whose first bits are good codes by themselves; empty if none but all is.

    Example:
        >>> from udsph_tf.search import FaissIndex
        >>> codes = FaissIndex(num_bits=8)
        >>> codes.add(np.array([[0b0000], [0b0111]], dtype=np.uint8))
        >>> items = [Item("1", "a blue shirt", "1.jpg"), Item("2", "a red dress", "2.jpg")]
        >>> index = StoredIndex(codes, codes, items, model_checksum="9f3c", metadata={})
        >>> hits = index.search(np.array([[0b0011]], dtype=np.uint8), "image", k=1)
        >>> hits[0][0].item.text, hits[0][0].distance
        ('a red dress', 1)
    """

    image: HammingIndex
    text: HammingIndex
    items: Sequence[Item]
    model_checksum: str
    metadata: dict[str, Any]
    fused: HammingIndex | None = None
    nested: tuple[int, ...] = ()
    catalogue: Catalogue = field(init=False, repr=False)

    def __post_init__(self):
        items = self.items
        catalogue = items if isinstance(items, Catalogue) else Catalogue.of(items)
        object.__setattr__(self, "catalogue", catalogue)

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""
        return self.image.num_bits

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which codes there are: "image", "text" and perhaps "fused"."""
        return ("image", "text") if self.fused is None else ("image", "text", "fused")

    @property
    def lengths(self) -> tuple[int, ...]:
        """Code lengths that can be searched with, the longest last."""
        return tuple(sorted({*self.nested, self.num_bits}))

    def __len__(self) -> int:
        """Number of items that are not deleted."""
        return self.catalogue.num_alive

    def is_exact(self) -> bool:
        """Whether `search` always returns the true nearest neighbours."""
        return all(self.codes_of(each).is_exact() for each in self.modalities)

    def is_ready(self) -> bool:
        """Whether searches can be answered: always, in this process."""
        return True

    def item(self, name: str) -> Item | None:
        """The item with this id, or None."""
        position = self.catalogue.find(name)
        return None if position is None else self.catalogue[position]

    def codes_of_item(self, name: str, modality: str) -> np.ndarray | None:
        """(1, num_bits / 8) uint8, the code of the item with this id, or None.

        Raises:
            ValueError: `modality` is unknown, or there are no such codes.
        """
        codes, position = self.codes_of(modality), self.catalogue.find(name)
        return None if position is None else codes.codes(np.array([position]))

    def facets(self) -> dict[str, dict[str, int]]:
        """Number of items by field and value of the metadata."""
        return self.catalogue.facets()

    def codes_of(self, modality: str) -> HammingIndex:
        """The index of one modality's codes.

        Raises:
            ValueError: `modality` is unknown, or there are no such codes.
        """
        if modality == "fused" and self.fused is None:
            raise ValueError("this index has no fused codes; `udsph index` makes them")
        if modality not in ("image", "text", "fused"):
            raise ValueError(
                f'`modality` must be "image" or "text" or "fused". Received: {modality!r}'
            )
        return getattr(self, modality)

    def first_bits(self, num_bits: int) -> "StoredIndex":
        """The same items by the first bits of their codes; exact, and in memory.

        Raises:
            ValueError: `num_bits` is not one of `lengths`.
        """
        if num_bits not in self.lengths:
            raise ValueError(
                f"`num_bits` must be one of {self.lengths}: the model's nested code lengths. "
                f"Received: num_bits={num_bits!r}"
            )
        if num_bits == self.num_bits:
            return self
        return replace(
            self,
            image=self.image.first_bits(num_bits),
            text=self.text.first_bits(num_bits),
            fused=self.fused and self.fused.first_bits(num_bits),
            items=self.catalogue,
            nested=tuple(each for each in self.nested if each <= num_bits),
        )

    def search(
        self,
        packed_query: np.ndarray,
        modality: str,
        k: int,
        *,
        radius: int | None = None,
        filters: Mapping[str, Sequence[str]] | None = None,
        query_hash: np.ndarray | None = None,
        candidates: int = 100,
    ) -> list[list[Hit]]:
        """As `ItemIndex.search`; hits at equal distances come in the order of the database."""
        index, k = self.codes_of(modality), checked_k(k)
        mask = self.catalogue.mask(filters)
        if query_hash is None:
            fetched = k
        else:
            query_hash, fetched = np.asarray(query_hash), max(k, candidates)
            expected = (len(packed_query), self.num_bits)
            if query_hash.shape != expected:
                raise ValueError(
                    f"`query_hash` must have shape {expected}. Received: {query_hash.shape}"
                )
        # Without a mask the interface's third argument is left out: the smallest index has none.
        found = index.search(packed_query, fetched, *([] if mask is None else [mask]))
        answers = []
        for number, (distances, positions) in enumerate(zip(*found, strict=True)):
            if radius is not None:
                within = distances <= radius
                distances, positions = distances[within], positions[within]
            fine = None
            if query_hash is not None and len(positions):
                fine = asymmetric_distance(query_hash[number], index.codes(positions))
                order = np.lexsort((positions, distances, fine))[:k]
                distances, positions, fine = distances[order], positions[order], fine[order]
            answers.append(self._hits(distances[:k], positions[:k], fine))
        return answers

    def _hits(
        self, distances: np.ndarray, positions: np.ndarray, fine: np.ndarray | None
    ) -> list[Hit]:
        asymmetric = [None] * len(positions) if fine is None else fine.tolist()
        rows = zip(distances.tolist(), positions.tolist(), asymmetric, strict=True)
        return [
            Hit(self.catalogue[position], distance, rank, each)
            for rank, (distance, position, each) in enumerate(rows, start=1)
        ]
