"""The one interface of an index of items, wherever they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from udsph_tf.search.hit import Hit, Item

__all__ = ["ItemIndex"]


@runtime_checkable
class ItemIndex(Protocol):
    """Items and their codes: a `StoredIndex` in this process, or a `MilvusIndex` on a server.

    Where a server does not answer, every method but `is_ready` raises `MilvusError`.
    """

    @property
    def model_checksum(self) -> str:
        """Names the model that made the codes."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the writer of the index wanted to remember."""

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Code lengths that can be searched with, the longest last."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which codes there are: "image", "text" and perhaps "fused"."""

    def __len__(self) -> int:
        """Number of items."""

    def is_exact(self) -> bool:
        """Whether `search` always returns the true nearest neighbours."""

    def is_ready(self) -> bool:
        """Whether searches can be answered now."""

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
        """The `k` nearest items of every query.

        Args:
            packed_query: (n, num_bits / 8) uint8, codes of images or of texts.
            modality: which codes of the database are compared: "image" finds items by how they
                look, "text" by their words, "fused" by both. The query may be of any modality.
            k: number of neighbours, at least 1; cut to the size of the database.
            radius: leave out items at a greater Hamming distance.
            filters: values by field; an item must have, in every field, one of its values.
            query_hash: (n, num_bits) relaxed hashes of the queries. If they are given, the nearest
                `candidates` are re-ranked by their asymmetric distance.
            candidates: how many, at least `k` of which are taken anyway.

        Returns:
            For every query its hits, nearest first.

        Raises:
            ValueError: an argument does not fit, `modality` is unknown or `k` not positive.
        """

    def item(self, name: str) -> Item | None:
        """The item with this id, or None."""

    def codes_of_item(self, name: str, modality: str) -> np.ndarray | None:
        """(1, num_bits / 8) uint8, the code of the item with this id, or None.

        Raises:
            ValueError: `modality` is unknown, or there are no such codes.
        """

    def facets(self) -> dict[str, dict[str, int]] | None:
        """Number of items by field and value of the metadata; None where nobody counts them."""
