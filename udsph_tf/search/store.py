"""An index as a folder on disk: the codes of both modalities, the items, and a manifest."""

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from udsph_tf.files import new_folder, sha256
from udsph_tf.search.faiss_index import FaissIndex
from udsph_tf.search.hit import Item
from udsph_tf.search.items import StoredItems, write_items
from udsph_tf.search.stored_index import StoredIndex
from udsph_tf.version import __version__

__all__ = ["check_target", "open_index", "write_index"]

FORMAT_VERSION = 1
_MANIFEST = "index.json"
_IMAGE, _TEXT, _ITEMS = "image.faissbin", "text.faissbin", "items.jsonl"
_REMEDY = "Copy the whole folder again, or run `udsph index` again."


def write_index(
    folder: str | os.PathLike,
    *,
    image_packed: np.ndarray,
    text_packed: np.ndarray,
    items: Iterable[Item],
    model_checksum: str,
    metadata: dict[str, Any] | None = None,
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
        items: n items, in the order of the codes.
        model_checksum: names the model that made the codes; `open_index` compares it.
        metadata: anything JSON can hold, handed back by `open_index`.
        overwrite: replace an index that is already there.

    Raises:
        FileExistsError: `folder` exists and `overwrite` is False, or it holds something that is
            not an index.
        ValueError: codes, items and counts do not fit together, or `metadata` is not JSON.
    """
    folder = Path(folder).resolve()
    check_target(folder, overwrite)
    indexes = {
        _IMAGE: _index_of("image_packed", image_packed),
        _TEXT: _index_of("text_packed", text_packed),
    }
    image, text = indexes.values()
    if (image.num_bits, len(image)) != (text.num_bits, len(text)):
        raise ValueError(
            "`image_packed` and `text_packed` must have one shape. "
            f"Received: {np.shape(image_packed)} and {np.shape(text_packed)}"
        )
    if not isinstance(model_checksum, str):
        raise ValueError(f"`model_checksum` must be a string. Received: {model_checksum!r}")
    metadata = _as_json({} if metadata is None else metadata)

    # `check_target` has said what may be replaced.
    with new_folder(folder, overwrite=True) as temporary:
        for name, index in indexes.items():
            index.write(temporary / name)
        num_items = write_items(temporary / _ITEMS, items)
        if num_items != len(image):
            raise ValueError(
                "`items` must hold one item for every code. "
                f"Received: {num_items} items and {len(image)} codes"
            )
        manifest = {
            "format_version": FORMAT_VERSION,
            "num_bits": image.num_bits,
            "num_items": num_items,
            "model_checksum": model_checksum,
            "files": {name: sha256(temporary / name) for name in (_IMAGE, _TEXT, _ITEMS)},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "created_by": f"udsph_tf {__version__}",
            "metadata": metadata,
        }
        manifest["manifest_sha256"] = _manifest_sha256(manifest)
        lines = json.dumps(manifest, indent=2) + "\n"
        (temporary / _MANIFEST).write_text(lines, encoding="ascii")
        # Somebody else may have made the folder while this one was being written.
        check_target(folder, overwrite)


def open_index(folder: str | os.PathLike, *, model_checksum: str | None = None) -> StoredIndex:
    """Open an index folder, after checking that every file is the one that was written.

    Args:
        folder: what `write_index` has written.
        model_checksum: the model whose queries will be searched; None accepts any.

    Returns:
        The index, ready to be searched.

    Raises:
        ValueError: a file is missing, cut off or changed, the format is unknown, or another
            model made the codes. The message names the file and the remedy.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / _MANIFEST)
    if model_checksum is not None and manifest["model_checksum"] != model_checksum:
        raise ValueError(
            f"index was built by another model: {folder} has codes of "
            f"{manifest['model_checksum']!r}. Received: model_checksum={model_checksum!r}. "
            "Open it with the model that built it, or run `udsph index` again with this one."
        )
    for name in (_IMAGE, _TEXT, _ITEMS):
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing. {_REMEDY}")
        if sha256(path) != manifest["files"][name]:
            raise ValueError(
                f"{path} is not the file that was written: its sha256 differs from the one in "
                f"{_MANIFEST}. {_REMEDY}"
            )
    image, text = FaissIndex.read(folder / _IMAGE), FaissIndex.read(folder / _TEXT)
    items = StoredItems.read(folder / _ITEMS)
    for name, index in ((_IMAGE, image), (_TEXT, text)):
        if (index.num_bits, len(index)) != (manifest["num_bits"], len(items)):
            raise ValueError(
                f"{folder / name} holds {len(index)} codes of {index.num_bits} bits, expected "
                f"{len(items)} of {manifest['num_bits']}. {_REMEDY}"
            )
    return StoredIndex(
        image=image,
        text=text,
        items=items,
        model_checksum=manifest["model_checksum"],
        metadata=manifest["metadata"],
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
        (folder / _MANIFEST).is_file() or not any(folder.iterdir())
    )
    if not is_replaceable:
        raise FileExistsError(
            f"{folder} exists and is not an index (it has no {_MANIFEST}), so it is not replaced. "
            "Choose another folder."
        )


def _as_json(metadata: dict[str, Any]) -> dict[str, Any]:
    """`metadata` as it will be read back: tuples are lists, keys are strings."""
    if not isinstance(metadata, dict):
        raise ValueError(f"`metadata` must be a dict. Received: {metadata!r}")
    try:
        return json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`metadata` must be what JSON can hold: {error}") from error


def _index_of(name: str, packed: np.ndarray) -> FaissIndex:
    packed = np.asarray(packed)
    if packed.ndim != 2 or packed.dtype != np.uint8 or packed.shape[1] == 0:
        raise ValueError(
            f"`{name}` must be packed codes, uint8 of shape (n, num_bits / 8). "
            f"Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    index = FaissIndex(8 * packed.shape[1])
    index.add(packed)
    return index


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"no index at {path.parent}: {path} is missing. Run `udsph index` first.")
    try:
        manifest = json.loads(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole: {error}. {_REMEDY}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version={version!r}, and this version of udsph_tf reads "
            f"{FORMAT_VERSION}. Use the version that wrote it, or run `udsph index` again."
        )
    if manifest.get("manifest_sha256") != _manifest_sha256(manifest):
        raise ValueError(f"{path} is not the file that was written. {_REMEDY}")
    return manifest


def _manifest_sha256(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
