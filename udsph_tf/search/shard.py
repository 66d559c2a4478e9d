"""One shard of an index: a folder of codes and items that is written once, and what was deleted."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udsph_tf.files import load_array, sha256
from udsph_tf.search.approximate_index import ApproximateIndex
from udsph_tf.search.facets import Facets
from udsph_tf.search.faiss_index import FaissIndex
from udsph_tf.search.hit import Item
from udsph_tf.search.identifiers import Identifiers, id_hash
from udsph_tf.search.index import HammingIndex
from udsph_tf.search.items import StoredItems, write_items
from udsph_tf.search.manifest import REMEDY, check_file

__all__ = ["Shard", "index_of", "read_shard", "write_deleted", "write_shard"]

_ITEMS = "items.jsonl"


@dataclass(frozen=True)
class Shard:
    """A shard in memory, or mapped into it.

    Args:
        codes: `image`, `text` and, where there are fused codes, `fused`.
        items: by position.
        identifiers: positions by id.
        facets: positions by metadata.
        alive: which items are not deleted: a mask, or None where none is.
    """

    codes: Mapping[str, HammingIndex]
    items: StoredItems
    identifiers: Identifiers
    facets: Facets
    alive: np.ndarray | None


def index_of(name: str, packed: np.ndarray) -> FaissIndex:
    """An exact index of packed codes.

    Raises:
        ValueError: they are not packed codes.
    """
    packed = np.asarray(packed)
    if packed.ndim != 2 or packed.dtype != np.uint8 or packed.shape[1] == 0:
        raise ValueError(
            f"`{name}` must be packed codes, uint8 of shape (n, num_bits / 8). "
            f"Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    index = FaissIndex(8 * packed.shape[1])
    index.add(packed)
    return index


def write_shard(
    folder: Path, codes: Mapping[str, FaissIndex], items: Iterable[Item], kind: str
) -> dict[str, Any]:
    """Write a shard into a new folder of its own inside `folder`.

    Args:
        folder: the index folder, or the hidden one that becomes it.
        codes: exact indexes by modality, equally long.
        items: one for every code.
        kind: one of `KINDS`; for an approximate one its structures are built and written too.

    Returns:
        What the manifest says of the shard.

    Raises:
        ValueError: items and codes are not equally many, or an id occurs twice.
    """
    name = f"shard-{uuid.uuid4().hex[:12]}"
    target = folder / name
    target.mkdir()
    for modality, index in codes.items():
        index.write(target / f"{modality}.faissbin")
        if kind != "exact" and len(index):
            ApproximateIndex.build(kind, index).write(target / f"{modality}.{kind}.faissbin")
    hashes: list[int] = []
    metadata: list[Mapping] = []
    count = write_items(target / _ITEMS, _recorded(items, hashes, metadata))
    size = len(next(iter(codes.values())))
    if count != size:
        raise ValueError(
            f"`items` must hold one item for every code. Received: {count} items and {size} codes"
        )
    identifiers = Identifiers(hashes)
    repeated = identifiers.first_repeated(StoredItems.read(target / _ITEMS))
    if repeated is not None:
        raise ValueError(f"`items` must have different ids. Received: {repeated!r} twice")
    identifiers.write(target)
    Facets.of(metadata).write(target)
    files = {path.name: sha256(path) for path in sorted(target.iterdir())}
    return {"folder": name, "num_items": count, "kind": kind, "files": files, "deleted": None}


def read_shard(
    folder: Path, description: Mapping[str, Any], *, num_bits: int, mapped: bool, verify: bool
) -> Shard:
    """Read what `write_shard` has written and `write_deleted` added to it.

    Raises:
        ValueError: a file is missing, cut off or changed.
    """
    target, kind = folder / description["folder"], description["kind"]
    for name, expected in description["files"].items():
        check_file(target / name, expected, content=verify)
    items = StoredItems.read(target / _ITEMS, mapped=mapped)
    codes: dict[str, HammingIndex] = {}
    for modality in ("image", "text", "fused"):
        path = target / f"{modality}.faissbin"
        if path.name not in description["files"]:
            continue
        index = FaissIndex.read(path, mapped=mapped)
        if (index.num_bits, len(index)) != (num_bits, len(items)):
            raise ValueError(
                f"{path} holds {len(index)} codes of {index.num_bits} bits, expected "
                f"{len(items)} of {num_bits}. {REMEDY}"
            )
        codes[modality] = index
        structure = target / f"{modality}.{kind}.faissbin"
        if structure.name in description["files"]:
            codes[modality] = ApproximateIndex.read(structure, index)
    alive = None
    if description["deleted"]:
        path = target / description["deleted"]["file"]
        check_file(path, description["deleted"]["sha256"])
        alive = np.ones(len(items), bool)
        alive[load_array(path)] = False
    try:
        identifiers = Identifiers.read(target, mapped=mapped)
        facets = Facets.read(target, mapped=mapped)
    except (ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{target} is not whole: {error}. {REMEDY}") from error
    return Shard(codes, items, identifiers, facets, alive)


def write_deleted(
    folder: Path, description: Mapping[str, Any], alive: np.ndarray
) -> dict[str, Any]:
    """Write which items of a shard are deleted; the description that says so.

    The list gets a new name every time, so the old manifest keeps meaning what it meant until the
    new one takes its place.
    """
    path = folder / description["folder"] / f"deleted-{uuid.uuid4().hex[:12]}.npy"
    np.save(path, np.flatnonzero(~alive))
    return {**description, "deleted": {"file": path.name, "sha256": sha256(path)}}


def _recorded(items: Iterable[Item], hashes: list[int], metadata: list[Mapping]) -> Iterator[Item]:
    for item in items:
        # `write_items` checks the item before it asks for the next one.
        yield item
        hashes.append(id_hash(item.id))
        metadata.append(item.metadata)
