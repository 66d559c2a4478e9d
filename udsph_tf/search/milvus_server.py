"""What a Milvus server is told: the schema of a collection, its rows, and filters."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from udsph_tf.search.hit import Item

__all__ = [
    "KINDS",
    "answering",
    "connect",
    "index_params",
    "is_lite",
    "item_of",
    "quoted",
    "row_of",
    "schema_of",
]

KINDS = {"exact": "BIN_FLAT", "ivf": "BIN_IVF_FLAT"}
_LISTS = 1024


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


def item_of(name: str, content: Mapping[str, Any]) -> Item:
    """The item of a row."""
    metadata = {field: tuple(values) for field, values in content["metadata"].items()}
    return Item(name, content["text"], content["image"], metadata)


def quoted(values: Sequence[str]) -> str:
    """A list of strings in the language of filters."""
    return json.dumps(list(values), ensure_ascii=False)


@contextlib.contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turn what the client raises into an error that names the server."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        raise ValueError(f"Milvus at {uri} does not do it: {error.message}") from error
