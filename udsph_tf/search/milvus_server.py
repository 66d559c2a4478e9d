"""What a Milvus server is told: the schema of a collection, its rows, and filters."""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from udsph_tf.search.hit import Item

__all__ = [
    "KINDS",
    "ROWS_AT_ONCE",
    "SECONDS",
    "MilvusError",
    "answering",
    "connect",
    "index_params",
    "insert",
    "is_lite",
    "item_of",
    "mark_of",
    "mark_schema",
    "quoted",
    "row_of",
    "schema_of",
    "with_ids",
]

_LISTS = 1024
KINDS = {"exact": "BIN_FLAT", "ivf": "BIN_IVF_FLAT"}
ROWS_AT_ONCE = 1000
"""Rows of a request."""
SECONDS = 60.0
"""How long an answer may take."""


class MilvusError(ValueError):
    """A Milvus server does not answer, or refuses."""


def connect(uri: str):
    """A client of the server or the file; ImportError without pymilvus."""
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise ImportError("Milvus needs its client: pip install 'udsph-tf[milvus]'") from error
    with answering(uri):
        return MilvusClient(uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=10.0)


def is_lite(uri: str) -> bool:
    """Whether the URI is a Milvus Lite file."""
    return not re.match(r"[a-z+]+://", uri)


def schema_of(said: Mapping[str, Any]):
    """A collection with what the index says of itself as its description."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=json.dumps(said)
    )
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=1024)
    for modality in said["modalities"]:
        schema.add_field(modality, DataType.BINARY_VECTOR, dim=said["num_bits"])
    schema.add_field("item", DataType.JSON)
    schema.add_field(
        "facets",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=1024,
        max_length=1024,
    )
    if said["partition_field"]:
        schema.add_field("partition", DataType.VARCHAR, max_length=1024, is_partition_key=True)
    return schema


def mark_of(collection: str) -> str:
    """The collection that is there while `collection` is not whole."""
    return f"{collection}_unfinished"


def mark_schema():
    """Of that collection: the least that Milvus takes."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("none", DataType.BINARY_VECTOR, dim=8)
    return schema


def index_params(said: Mapping[str, Any]):
    """An index by Hamming distance of every modality."""
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    for modality in said["modalities"]:
        params.add_index(
            field_name=modality,
            index_type=KINDS[said["kind"]],
            metric_type="HAMMING",
            params={"nlist": _LISTS} if said["kind"] == "ivf" else {},
        )
    return params


def row_of(item: Item, partition_field: str | None) -> dict[str, Any]:
    """The row of an item, without its codes."""
    if any("=" in field for field in item.metadata):
        raise ValueError(f"A field of metadata must have no `=` in Milvus. Received: {item!r}")
    if any(character < " " for character in item.id):
        # Filters have no way to write them that every Milvus understands.
        raise ValueError(f"An id must have no control characters in Milvus. Received: {item!r}")
    metadata = {field: list(values) for field, values in item.metadata.items()}
    row = {
        "id": item.id,
        "item": {"text": item.text, "image": item.image, "metadata": metadata},
        "facets": [f"{field}={value}" for field, values in metadata.items() for value in values],
    }
    if partition_field:
        values = metadata.get(partition_field, [])
        if len(values) != 1:
            raise ValueError(
                f"Every item must have one value of the partition field {partition_field!r}. "
                f"Received: {item!r}"
            )
        row["partition"] = values[0]
    return row


def insert(
    client,
    uri: str,
    collection: str,
    packed: Mapping[str, np.ndarray],
    items: Iterable[Item],
    partition_field: str | None,
) -> None:
    """Put items and their codes into a collection.

    Raises:
        MilvusError: the server does not take them.
        ValueError: two have one id, or there is not one item for every code.
    """
    items, seen, size = iter(items), set(), len(packed["image"])
    for start in range(0, max(size, 1), ROWS_AT_ONCE):
        rows = []
        for position, item in enumerate(islice(items, min(ROWS_AT_ONCE, size - start)), start):
            if item.id in seen:
                raise ValueError(f"`items` must differ in id. Received: {item.id!r} twice")
            if "'" in item.id and is_lite(uri):
                # It would write the id into SQL as it is, once the item is deleted.
                raise ValueError(f"An id must have no ' in Milvus Lite. Received: {item!r}")
            seen.add(item.id)
            row = {name: codes[position].tobytes() for name, codes in packed.items()}
            rows.append(row | row_of(item, partition_field))
        if rows:
            with answering(uri):
                client.insert(collection, rows, timeout=SECONDS)
    if len(seen) != size or next(items, None) is not None:
        raise ValueError(f"`items` must hold one item for every code of {size}")


def item_of(name: str, content: Mapping[str, Any]) -> Item:
    """The item of a row."""
    metadata = {field: tuple(values) for field, values in content["metadata"].items()}
    return Item(name, content["text"], content["image"], metadata)


def with_ids(ids: Sequence[str]) -> str:
    """A filter of the items with these ids. (The client's own puts ids into it as they are.)"""
    return f"id in {quoted(ids)}"


def quoted(values: Sequence[str]) -> str:
    """A list of strings in the language of filters."""
    return json.dumps([_whole(value) for value in values], ensure_ascii=False)


def _whole(text: str) -> str:
    """`text` with U+FFFD in place of half a character, which Milvus cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@contextlib.contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turn what the client raises into an error that names the server."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise MilvusError(f"Milvus at {uri} does not do it: {error.message}") from error
