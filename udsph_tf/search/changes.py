"""Changes of an index folder: items added, deleted, and the folder put in order again."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.files import new_folder
from udsph_tf.search.hit import Item
from udsph_tf.search.locking import locked
from udsph_tf.search.manifest import read_manifest, write_manifest
from udsph_tf.search.shard import index_of, write_deleted, write_shard
from udsph_tf.search.store import checked_codes, fill_index, read_index
from udsph_tf.search.stored_index import StoredIndex

__all__ = ["add_items", "compact_index", "delete_items"]


def add_items(
    folder: str | os.PathLike,
    *,
    image_packed: np.ndarray,
    text_packed: np.ndarray,
    fused_packed: np.ndarray | None = None,
    items: Iterable[Item],
    model_checksum: str,
    replace: bool = False,
) -> int:
    """Add items to an index folder, as a shard of their own.

    Whoever opens the folder meanwhile sees the index without the new items, or with all of them.

    Args:
        folder: what `write_index` has written.
        image_packed, text_packed, fused_packed: as for `write_index`; fused codes are needed
            if, and only if, the index has them.
        items: one for every code.
        model_checksum: the model that made the codes, which must be the index's.
        replace: delete items that are there under the same ids; otherwise they are an error.

    Returns:
        The number of items that were replaced.

    Raises:
        ValueError: the codes do not fit, another model made them, or an id is taken.
    """
    folder, items = Path(folder).resolve(), list(items)
    packed = checked_codes(image_packed, text_packed, fused_packed)
    with _changing(folder):
        manifest = read_manifest(folder)
        index = _read(folder, model_checksum=model_checksum)
        if 8 * packed["image"].shape[1] != index.num_bits:
            raise ValueError(
                f"The codes must have the index's {index.num_bits} bits. "
                f"Received: {8 * packed['image'].shape[1]}"
            )
        if tuple(packed) != index.modalities:
            raise ValueError(
                f"The index has {' and '.join(index.modalities)} codes. "
                f"Received: {' and '.join(packed)}"
            )
        taken = [item.id for item in items if index.catalogue.find(item.id) is not None]
        if taken and not replace:
            raise ValueError(
                f"{len(taken)} ids are in the index already, such as {taken[0]!r}. Pass replace to "
                "put the new items in their places"
            )
        codes = {modality: index_of(modality, each) for modality, each in packed.items()}
        shard = write_shard(folder, codes, items, manifest["kind"])
        shards = [*_without(folder, manifest, index, taken), shard]
        _put(folder, manifest, shards, len(index) - len(taken) + len(items))
    return len(taken)


def delete_items(folder: str | os.PathLike, ids: Sequence[str], *, missing_ok: bool = False) -> int:
    """Delete items from an index folder; no search of an index opened afterwards finds them.

    Their codes stay on the disk, and their ids are free again; `compact_index` removes both.

    Args:
        folder: what `write_index` has written.
        ids: of the items.
        missing_ok: pass over ids that are not there; otherwise they are an error.

    Returns:
        The number of items deleted.

    Raises:
        ValueError: an id is not there, and then nothing is deleted; or the index is damaged.
    """
    folder = Path(folder).resolve()
    ids = list(dict.fromkeys(ids))
    with _changing(folder):
        manifest = read_manifest(folder)
        index = _read(folder)
        there = [name for name in ids if index.catalogue.find(name) is not None]
        if len(there) < len(ids) and not missing_ok:
            missing = next(name for name in ids if name not in set(there))
            raise ValueError(
                f"{len(ids) - len(there)} ids are not in the index, such as {missing!r}. "
                "Nothing was deleted; pass missing_ok to delete the others"
            )
        if there:
            shards = _without(folder, manifest, index, there)
            _put(folder, manifest, shards, len(index) - len(there))
    return len(there)


def compact_index(folder: str | os.PathLike, *, shard_items: int | None = None) -> None:
    """Write an index folder anew: one shard, without what was deleted.

    Args:
        folder: what `write_index` has written.
        shard_items: most items of a shard; one shard by default.

    Raises:
        ValueError: the index is damaged.
    """
    folder = Path(folder).resolve()
    with _changing(folder):
        manifest = read_manifest(folder)
        index = _read(folder, verify=True)
        places = index.catalogue.places()
        packed = {each: index.codes_of(each).codes(places) for each in index.modalities}
        items = (index.catalogue[int(place)] for place in places)
        about = {key: manifest[key] for key in ("model_checksum", "nested", "kind", "metadata")}
        with new_folder(folder, overwrite=True) as temporary:
            fill_index(temporary, packed, items, about, shard_items)


def _without(folder: Path, manifest: dict, index: StoredIndex, ids: Sequence[str]) -> list[dict]:
    """The manifest's shards with these items deleted."""
    shards = list(manifest["shards"])
    if not ids:
        return shards
    catalogue = index.catalogue
    alive = np.ones(len(catalogue), bool) if catalogue.alive is None else catalogue.alive.copy()
    dead = np.array([catalogue.find(name) for name in ids], np.int64)
    alive[dead] = False
    start = 0
    for number, shard in enumerate(shards):
        end = start + shard["num_items"]
        if ((dead >= start) & (dead < end)).any():
            shards[number] = write_deleted(folder, shard, alive[start:end])
        start = end
    return shards


def _put(folder: Path, manifest: dict, shards: list[dict], num_items: int) -> None:
    write_manifest(folder, {**manifest, "shards": shards, "num_items": num_items})
    # What no manifest names any more: lists of deleted items, and shards that somebody was killed
    # over. Whoever opened the old index has read its lists; who is opening it now tries again.
    named = {each["folder"]: (each["deleted"] or {}).get("file") for each in shards}
    for shard in folder.glob("shard-*"):
        if shard.name not in named:
            shutil.rmtree(shard, ignore_errors=True)
            continue
        for path in shard.glob("deleted-*.npy"):
            if path.name != named[shard.name]:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Let one process at a time change the folder."""
    if not folder.is_dir():
        raise ValueError(f"no index at {folder}. Run `udsph index` first.")
    with locked(folder):
        yield


def _read(folder: Path, *, model_checksum: str | None = None, verify: bool = False) -> StoredIndex:
    """The index as it is while nobody else changes it."""
    return read_index(folder, model_checksum=model_checksum, mapped=True, verify=verify)
