"""An index as a folder on disk: shards of codes and items, and a manifest.

    index.json            what is in the folder, with the SHA-256 of every file
    shard-<name>/         written once and never changed
        image.faissbin, text.faissbin, fused.faissbin     packed codes
        image.ivf.faissbin, ...                           structures of an approximate index
        items.jsonl, ids.npy, facets.json, facets.npy     the items, and where each is
        deleted-<name>.npy                                positions that were deleted

The manifest is replaced at once, so whoever opens the folder sees the old index or the new one.
Beside a folder that was changed lies `.<name>.lock`, which lets one process at a time change it.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from udsph_tf.codes import check_num_bits
from udsph_tf.files import new_folder
from udsph_tf.search.approximate_index import check_kind
from udsph_tf.search.catalogue import Catalogue
from udsph_tf.search.hit import Item
from udsph_tf.search.locking import locked, may_change
from udsph_tf.search.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    read_manifest,
    write_manifest,
)
from udsph_tf.search.shard import index_of, read_shard, write_shard
from udsph_tf.search.sharded_index import ShardedIndex
from udsph_tf.search.stored_index import StoredIndex
from udsph_tf.version import __version__

__all__ = [
    "check_target",
    "checked_codes",
    "fill_index",
    "open_index",
    "read_index",
    "write_index",
]


def write_index(
    folder: str | os.PathLike,
    *,
    image_packed: np.ndarray,
    text_packed: np.ndarray,
    fused_packed: np.ndarray | None = None,
    items: Iterable[Item],
    model_checksum: str,
    metadata: dict[str, Any] | None = None,
    nested: Sequence[int] = (),
    kind: str = "exact",
    shard_items: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write an index folder, whole or not at all.

    The files go into a hidden folder beside the target (`.<name>.<random>.tmp`), which takes the
    target's name once everything is on disk. A process killed on the way leaves at most that
    hidden folder, which may be deleted. With `overwrite` the old index is moved aside and deleted
    after the new one is in place.

    Args:
        folder: where the index goes; its parent is made if need be.
        image_packed: (n, num_bits / 8) uint8, codes of the items' images.
        text_packed: (n, num_bits / 8) uint8, codes of the items' texts.
        fused_packed: (n, num_bits / 8) uint8, codes of both together (`udsph_tf.codes.fuse`).
        items: n items with different ids, in the order of the codes.
        model_checksum: names the model that made the codes; `open_index` compares it.
        metadata: anything JSON can hold, handed back by `open_index`.
        nested: lengths whose first bits are good codes by themselves.
        kind: "exact", or "ivf", "hnsw" or "multihash", which are approximate.
        shard_items: most items of a shard; one shard by default.
        overwrite: replace an index that is already there.

    Raises:
        FileExistsError: `folder` exists and `overwrite` is False, or it holds something that is
            not an index.
        ValueError: codes, items and counts do not fit together, or `metadata` is not JSON.
    """
    folder = Path(folder).resolve()
    check_target(folder, overwrite)
    packed = checked_codes(image_packed, text_packed, fused_packed)
    if not isinstance(model_checksum, str):
        raise ValueError(f"`model_checksum` must be a string. Received: {model_checksum!r}")
    about = {
        "model_checksum": model_checksum,
        "nested": sorted(check_num_bits(each) for each in nested),
        "kind": check_kind(kind),
        "metadata": _as_json({} if metadata is None else metadata),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = locked(folder) if overwrite else contextlib.nullcontext()
    # `check_target` has said what may be replaced.
    with lock, new_folder(folder, overwrite=True) as temporary:
        fill_index(temporary, packed, items, about, shard_items)
        # Somebody else may have made the folder while this one was being written.
        check_target(folder, overwrite)


def fill_index(
    folder: Path,
    packed: Mapping[str, np.ndarray],
    items: Iterable[Item],
    about: Mapping[str, Any],
    shard_items: int | None,
) -> None:
    """Write shards and a manifest into an empty folder that nobody opens yet.

    Args:
        folder: where.
        packed: codes by modality, as `checked_codes` gives them.
        items: one for every code.
        about: the manifest's `model_checksum`, `nested`, `kind` and `metadata`.
        shard_items: most items of a shard; None puts all into one.

    Raises:
        ValueError: codes and items do not fit together, or `shard_items` is not positive.
    """
    if shard_items is not None and shard_items < 1:
        raise ValueError(f"`shard_items` must be at least 1. Received: {shard_items}")
    size = len(packed["image"])
    step = shard_items or max(size, 1)
    items, shards = iter(items), []
    for start in range(0, max(size, 1), step):
        codes = {
            modality: index_of(modality, each[start : start + step])
            for modality, each in packed.items()
        }
        # The last shard takes all that are left, so that too many are noticed.
        part = items if start + step >= size else itertools.islice(items, step)
        shards.append(write_shard(folder, codes, part, about["kind"]))
    manifest = {
        "format_version": FORMAT_VERSION,
        "num_bits": 8 * packed["image"].shape[1],
        "num_items": size,
        **about,
        "shards": shards,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "created_by": f"udsph_tf {__version__}",
    }
    write_manifest(folder, manifest)


def open_index(
    folder: str | os.PathLike,
    *,
    model_checksum: str | None = None,
    mapped: bool = True,
    verify: bool = True,
) -> StoredIndex:
    """Open an index folder, after checking that every file is the one that was written.

    Args:
        folder: what `write_index` has written.
        model_checksum: the model whose queries will be searched; None accepts any.
        mapped: map codes and items into memory in place of reading them: pages are read when a
            search comes by, and processes share them. (Structures of approximate indexes are
            always read.)
        verify: compare the SHA-256 of every file, which reads all of them once. Without it,
            opening an index of any size takes a moment, and files are trusted.

    Returns:
        The index, ready to be searched.

    Raises:
        ValueError: a file is missing, cut off or changed, the format is unknown, or another
            model made the codes. The message names the file and the remedy.
    """
    try:
        return read_index(folder, model_checksum=model_checksum, mapped=mapped, verify=verify)
    except (ValueError, OSError):
        if not may_change(folder):
            raise
    # Files of the manifest that was read may have been removed since, by somebody who changes the
    # index: wait until he is done.
    with locked(folder, shared=True):
        return read_index(folder, model_checksum=model_checksum, mapped=mapped, verify=verify)


def read_index(
    folder: str | os.PathLike, *, model_checksum: str | None, mapped: bool, verify: bool
) -> StoredIndex:
    """`open_index` for those who hold the lock of the folder themselves.

    Raises:
        ValueError: as `open_index` raises it, and where somebody changes the folder meanwhile.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if model_checksum is not None and manifest["model_checksum"] != model_checksum:
        raise ValueError(
            f"index was built by another model: {folder} has codes of "
            f"{manifest['model_checksum']!r}. Received: model_checksum={model_checksum!r}. "
            "Open it with the model that built it, or run `udsph index` again with this one."
        )
    num_bits = manifest["num_bits"]
    shards = [
        read_shard(folder, each, num_bits=num_bits, mapped=mapped, verify=verify)
        for each in manifest["shards"]
    ]
    with_fused = bool(shards) and all("fused" in shard.codes for shard in shards)
    image, text, fused = (
        ShardedIndex(num_bits, [shard.codes[modality] for shard in shards])
        if modality != "fused" or with_fused
        else None
        for modality in ("image", "text", "fused")
    )
    return StoredIndex(
        image=image,
        text=text,
        fused=fused,
        items=Catalogue(
            [(shard.items, shard.identifiers, shard.facets, shard.alive) for shard in shards]
        ),
        model_checksum=manifest["model_checksum"],
        metadata=manifest["metadata"],
        nested=tuple(manifest["nested"]),
    )


def check_target(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that `write_index` would refuse.

    Raises:
        FileExistsError: as `write_index` raises it.
    """
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise FileExistsError(
            f"{folder} exists. Choose another folder, or pass overwrite (--overwrite) to "
            "replace the index in it."
        )
    is_replaceable = folder.is_dir() and (
        (folder / MANIFEST).is_file() or not any(folder.iterdir())
    )
    if not is_replaceable:
        raise FileExistsError(
            f"{folder} exists and is not an index (it has no {MANIFEST}), so it is not replaced. "
            "Choose another folder."
        )


def checked_codes(
    image_packed: np.ndarray, text_packed: np.ndarray, fused_packed: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Packed codes by modality.

    Raises:
        ValueError: they are not packed codes, or of different shapes.
    """
    packed = {"image": image_packed, "text": text_packed}
    if fused_packed is not None:
        packed["fused"] = fused_packed
    for modality, codes in packed.items():
        index_of(f"{modality}_packed", np.asarray(codes)[:0])
        if np.shape(codes) != np.shape(image_packed):
            raise ValueError(
                f"`image_packed` and `{modality}_packed` must have one shape. "
                f"Received: {np.shape(image_packed)} and {np.shape(codes)}"
            )
    return {modality: np.asarray(codes) for modality, codes in packed.items()}


def _as_json(metadata: dict[str, Any]) -> dict[str, Any]:
    """`metadata` as it will be read back: tuples are lists, keys are strings."""
    if not isinstance(metadata, dict):
        raise ValueError(f"`metadata` must be a dict. Received: {metadata!r}")
    try:
        return json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`metadata` must be what JSON can hold: {error}") from error
