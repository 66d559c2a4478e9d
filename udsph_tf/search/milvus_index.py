"""A searchable database in Milvus, for more items than one machine holds."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from udsph_tf.search.facets import check_filters
from udsph_tf.search.hit import Hit, Item
from udsph_tf.search.index import checked_k, checked_packed
from udsph_tf.search.milvus_server import (
    KINDS,
    ROWS_AT_ONCE,
    SECONDS,
    MilvusError,
    answering,
    connect,
    index_params,
    insert,
    is_lite,
    item_of,
    mark_of,
    mark_schema,
    quoted,
    schema_of,
    with_ids,
)
from udsph_tf.search.reranking import asymmetric_distance
from udsph_tf.search.store import checked_codes

__all__ = ["MilvusIndex"]

_PROBES = 32
_MOST_HITS = 16_384


class MilvusIndex:
    """A Milvus collection with a row an item, searched as a `StoredIndex` is.

    A row holds the item and its two or three codes, each a BINARY_VECTOR compared by HAMMING. The
    collection's description says which model made the codes.

    Equal distances come in Milvus's order, and where only some of the items at the last distance
    fit into `k`, Milvus chooses which.

    Args:
        uri: of the server, such as "http://localhost:19530", or the file of a Milvus Lite
            database, whose name ends in ".db". A token, if the server wants one, is taken from
            the environment variable MILVUS_TOKEN.
        collection: its name, or an alias of it.
        model_checksum: the model whose queries will be searched; None accepts any.
        timeout: seconds that the server has for an answer.

    Raises:
        ImportError: pymilvus is not installed.
        MilvusError: the server does not answer.
        ValueError: there is no such collection, it is not whole or not one that `create` has made,
            or another model made its codes.
    """

    def __init__(
        self,
        uri: str,
        collection: str,
        *,
        model_checksum: str | None = None,
        timeout: float = SECONDS,
    ):
        self.uri, self.collection, self.timeout = uri, collection, timeout
        self._client = connect(uri)
        with self._answering():
            if not self._client.has_collection(collection, timeout=timeout):
                raise ValueError(f"{uri} has no collection {collection}. Run `udsph index` first.")
            description = self._client.describe_collection(collection, timeout=timeout)
            # `collection` may be an alias.
            mark = mark_of(description["collection_name"])
            if self._client.has_collection(mark, timeout=timeout):
                raise ValueError(
                    f"The collection {collection} of {uri} is not whole: filling it has not ended. "
                    "If nobody is filling it, run `udsph index` again with --overwrite"
                )
        try:
            said = json.loads(description["description"])
            self.model_checksum: str = said["model_checksum"]
            self.num_bits: int = said["num_bits"]
            self.modalities: tuple[str, ...] = tuple(said["modalities"])
            self.metadata: dict[str, Any] = said["metadata"]
            self._kind: str = said["kind"]
            self._partition_field: str | None = said["partition_field"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"The collection {collection} of {uri} is not one that `udsph index` has made"
            ) from error
        if model_checksum is not None and model_checksum != self.model_checksum:
            raise ValueError(
                f"index was built by another model: {collection} has codes of "
                f"{self.model_checksum!r}. Received: model_checksum={model_checksum!r}. "
                "Search it with the model that built it, or run `udsph index` again with this one."
            )

    @classmethod
    def create(
        cls,
        uri: str,
        collection: str,
        *,
        image_packed: np.ndarray,
        text_packed: np.ndarray,
        fused_packed: np.ndarray | None = None,
        items: Iterable[Item],
        model_checksum: str,
        metadata: Mapping[str, Any] | None = None,
        kind: str = "exact",
        partition_field: str | None = None,
        overwrite: bool = False,
    ) -> "MilvusIndex":
        """Make a collection and fill it.

        Until it is full, and for good if the process is killed before, a second and empty
        collection `<collection>_unfinished` says so, and `MilvusIndex` does not open the first. So
        fill one under a new name and let an alias point to it afterwards, where others search
        meanwhile.

        Args:
            uri, collection: as for the class.
            image_packed, text_packed, fused_packed, items, model_checksum, metadata: as for
                `write_index`.
            kind: "exact" (BIN_FLAT), or "ivf" (BIN_IVF_FLAT, which Milvus Lite has not).
            partition_field: a field of the items' metadata that becomes Milvus's partition key: a
                search filtered by it looks into the partitions of those values alone. Every item
                must have one value of it. (Milvus Lite has no partitions.)
            overwrite: drop a collection that is there.

        Raises:
            FileExistsError: the collection exists.
            ValueError: an argument does not fit, or the server refuses it.
        """
        packed = checked_codes(image_packed, text_packed, fused_packed)
        if kind not in KINDS:
            raise ValueError(f"`kind` must be exact or ivf in Milvus. Received: {kind!r}")
        if is_lite(uri) and (kind != "exact" or partition_field):
            raise ValueError(
                "Milvus Lite has neither BIN_IVF_FLAT nor partitions: they need a Milvus server. "
                f"Received: uri={uri!r}, kind={kind!r}, partition_field={partition_field!r}"
            )
        num_bits = 8 * packed["image"].shape[1]
        said = {
            "model_checksum": model_checksum,
            "num_bits": num_bits,
            "modalities": list(packed),
            "kind": kind,
            "partition_field": partition_field,
            "metadata": dict(metadata or {}),
        }
        client = connect(uri)
        with answering(uri):
            if not overwrite and client.has_collection(collection, timeout=SECONDS):
                raise FileExistsError(
                    f"{uri} has a collection {collection}. Choose another name, or pass "
                    "overwrite (--overwrite) to replace it"
                )
            mark = mark_of(collection)
            if not client.has_collection(mark, timeout=SECONDS):
                client.create_collection(mark, schema=mark_schema(), timeout=SECONDS)
            client.drop_collection(collection, timeout=SECONDS)
            client.create_collection(
                collection,
                schema=schema_of(said),
                index_params=index_params(said),
                consistency_level="Strong",
                timeout=SECONDS,
            )
        insert(client, uri, collection, packed, items, partition_field)
        with answering(uri):
            client.drop_collection(mark, timeout=SECONDS)
        client.close()
        return cls(uri, collection)

    def __len__(self) -> int:
        with self._answering():
            rows = self._client.query(
                self.collection, filter="", output_fields=["count(*)"], timeout=self.timeout
            )
        return int(rows[0]["count(*)"])

    def is_exact(self) -> bool:
        """Whether `search` always returns the true nearest neighbours."""
        return self._kind == "exact"

    def is_ready(self) -> bool:
        """Whether the server answers."""
        try:
            with self._answering():
                return self._client.has_collection(self.collection, timeout=min(2.0, self.timeout))
        except MilvusError:
            return False

    @property
    def lengths(self) -> tuple[int, ...]:
        """Code lengths that can be searched with: Milvus compares whole codes alone."""
        return (self.num_bits,)

    def item(self, name: str) -> Item | None:
        """The item with this id, or None."""
        row = next(self._get([name], ["id", "item"]), None)
        return None if row is None else item_of(row["id"], row["item"])

    def codes_of_item(self, name: str, modality: str) -> np.ndarray | None:
        """(1, num_bits / 8) uint8, the code of the item with this id, or None.

        Raises:
            ValueError: there are no such codes.
        """
        self._check_modality(modality)
        return self._codes([name], modality) if self._present([name]) else None

    def facets(self) -> None:
        """None: counting the values of all items would read all of them."""

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
        """As `ItemIndex.search`; `k` and `candidates` may be at most 16,384.

        Raises:
            ValueError: an argument does not fit, or the server refuses it.
        """
        packed_query = checked_packed("packed_query", packed_query, self.num_bits)
        k = checked_k(k)
        self._check_modality(modality)
        fetched = k if query_hash is None else max(k, candidates)
        if fetched > _MOST_HITS:
            raise ValueError(f"Milvus finds at most {_MOST_HITS:,} items. Received: {fetched}")
        if not len(packed_query):
            return []
        params = {} if self._kind == "exact" else {"nprobe": _PROBES}
        with self._answering():
            answers = self._client.search(
                self.collection,
                data=[row.tobytes() for row in packed_query],
                anns_field=modality,
                filter=self._expression(filters),
                limit=fetched,
                output_fields=["item"],
                search_params={"metric_type": "HAMMING", "params": params},
                timeout=self.timeout,
            )
        found = []
        for number, rows in enumerate(answers):
            rows = [row for row in rows if radius is None or row["distance"] <= radius]
            fine: list[float | None] = [None] * len(rows)
            if query_hash is not None and rows:
                codes = self._codes([row["id"] for row in rows], modality)
                fine = asymmetric_distance(query_hash[number], codes).tolist()
                order = sorted(range(len(rows)), key=lambda at: (fine[at], rows[at]["distance"]))
                rows, fine = [rows[at] for at in order], [fine[at] for at in order]
            hits = zip(rows[:k], fine, strict=False)
            found.append(
                [
                    Hit(item_of(row["id"], row["entity"]["item"]), int(row["distance"]), rank, each)
                    for rank, (row, each) in enumerate(hits, start=1)
                ]
            )
        return found

    def add(
        self,
        *,
        image_packed: np.ndarray,
        text_packed: np.ndarray,
        fused_packed: np.ndarray | None = None,
        items: Iterable[Item],
        model_checksum: str,
        replace: bool = False,
    ) -> int:
        """Add items; as `add_items`, whose result it returns too.

        Raises:
            ValueError: the codes do not fit, another model made them, or an id is taken.
        """
        packed, items = checked_codes(image_packed, text_packed, fused_packed), list(items)
        if model_checksum != self.model_checksum or tuple(packed) != self.modalities:
            raise ValueError(
                f"The codes must be those of model {self.model_checksum!r}, "
                f"{' and '.join(self.modalities)}. Received: {model_checksum!r}, "
                f"{' and '.join(packed)}"
            )
        checked_packed("image_packed", packed["image"], self.num_bits)
        taken = self._present([item.id for item in items])
        if taken and not replace:
            raise ValueError(
                f"{len(taken)} ids are in the index already, such as {min(taken)!r}. Pass replace "
                "to put the new items in their places"
            )
        self._delete(taken)
        insert(self._client, self.uri, self.collection, packed, items, self._partition_field)
        return len(taken)

    def delete(self, ids: Sequence[str], *, missing_ok: bool = False) -> int:
        """Delete items by id; the number of those that were there.

        Raises:
            ValueError: an id is not there, and then nothing is deleted.
        """
        present = self._present(ids)
        missing = [name for name in ids if name not in present]
        if missing and not missing_ok:
            raise ValueError(
                f"{len(missing)} ids are not in the index, such as {missing[0]!r}. Nothing was "
                "deleted; pass missing_ok to delete the others"
            )
        self._delete(present)
        return len(present)

    def close(self) -> None:
        """Close the connection; it is of no use afterwards."""
        self._client.close()

    def _check_modality(self, modality: str) -> None:
        if modality not in self.modalities:
            raise ValueError(f"`modality` must be one of {self.modalities}. Received: {modality!r}")

    def _present(self, ids: Sequence[str]) -> set[str]:
        return {row["id"] for row in self._get(ids, ["id"])}

    def _codes(self, ids: Sequence[str], modality: str) -> np.ndarray:
        """Codes of items that are there. (Milvus Lite's search cannot hand them back itself.)"""
        codes = {row["id"]: row[modality] for row in self._get(ids, ["id", modality])}
        # The client wraps a binary vector in a list of one.
        packed = b"".join(b"".join(codes[name]) for name in ids)
        return np.frombuffer(packed, np.uint8).reshape(len(ids), -1)

    def _get(self, ids: Sequence[str], fields: list[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(ids), ROWS_AT_ONCE):
            with self._answering():
                yield from self._client.query(
                    self.collection,
                    filter=with_ids(ids[start : start + ROWS_AT_ONCE]),
                    output_fields=fields,
                    timeout=self.timeout,
                )

    def _delete(self, ids: set[str]) -> None:
        names = sorted(ids)
        for start in range(0, len(names), ROWS_AT_ONCE):
            with self._answering():
                self._client.delete(
                    self.collection,
                    filter=with_ids(names[start : start + ROWS_AT_ONCE]),
                    timeout=self.timeout,
                )

    def _expression(self, filters: Mapping[str, Sequence[str]] | None) -> str:
        if not filters:
            return ""
        check_filters(filters)
        parts = []
        for field, values in filters.items():
            if field == self._partition_field:
                parts.append(f"partition in {quoted(values)}")
            else:
                facets = [f"{field}={value}" for value in values]
                parts.append(f"ARRAY_CONTAINS_ANY(facets, {quoted(facets)})")
        return " and ".join(parts)

    def _answering(self):
        return answering(self.uri)
