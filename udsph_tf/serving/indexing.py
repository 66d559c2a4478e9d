"""Build a search index: every item of a collection through the exported encoders."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from udsph_tf.artefacts import read_manifest
from udsph_tf.codes import fuse, pack
from udsph_tf.data.images import pixels_or_reason
from udsph_tf.data.pairs import Pairs, Problem, holds_vectors
from udsph_tf.litert import num_cores
from udsph_tf.search import Item, add_items, write_index
from udsph_tf.search.store import check_target
from udsph_tf.serving.encoders import ImageEncoder, TextEncoder

__all__ = ["index_pairs"]

_LOG = logging.getLogger(__name__)
_CHUNK = 512


def index_pairs(
    pairs: Pairs,
    artefacts: str | Path,
    out: str | Path,
    *,
    kind: str = "exact",
    add: bool = False,
    replace: bool = False,
    overwrite: bool = False,
) -> tuple[int, list[Problem]]:
    """Encode pictures and texts and write them as an index folder.

    An item gets three codes: of its picture, of its words, and of both together. Its labels become
    its metadata: `colour=red` the value `red` of `colour`, a plain label a value of `label`.

    Args:
        pairs: the collection.
        artefacts: the export folder.
        out: the index folder.
        kind: "exact", or "ivf", "hnsw" or "multihash", which are approximate.
        add: add the items to the index that is there, whose kind stays as it is.
        replace: with `add`, put items in the places of those with the same ids.
        overwrite: replace an index that is there.

    Returns:
        The number of items indexed, and those left out because their picture is unusable.

    Raises:
        FileExistsError: `out` exists.
        ValueError: no item is usable, or the collection holds feature vectors.
    """
    if not add:
        check_target(Path(out), overwrite)  # before the long work, not after it
    if holds_vectors(pairs.images) or holds_vectors(pairs.texts):
        raise ValueError(
            f"`{pairs.name}` holds feature vectors, which have no image or text encoder, so they "
            "cannot be indexed; `udsph evaluate` searches them"
        )
    images, texts = ImageEncoder(artefacts), TextEncoder(artefacts)
    outputs, problems = [], []
    for rows, pixels, failed in _decoded(pairs, images.size):
        problems += [
            Problem(str(pairs.ids[row]), str(pairs.images[row]), why) for row, why in failed
        ]
        if rows:
            outputs.append((rows, images.run_pixels(pixels)))
    if not outputs:
        raise ValueError("No item has a usable picture, so there is nothing to index")
    rows = np.concatenate([rows for rows, _ in outputs])
    if problems:
        _LOG.warning("%d items with an unusable picture are left out", len(problems))
    image = {name: np.concatenate([each[name] for _, each in outputs]) for name in outputs[0][1]}
    text = texts.run(pairs.texts[rows])
    content = {
        "image_packed": image["packed"],
        "text_packed": text["packed"],
        "fused_packed": pack(fuse(image["hash"], text["hash"])),
        "items": (_item(pairs, row) for row in rows),
        "model_checksum": images.model_checksum,
    }
    if add:
        add_items(out, **content, replace=replace)
    else:
        write_index(
            out,
            **content,
            metadata={"dataset": pairs.name, "left_out": [vars(each) for each in problems]},
            nested=_nested_lengths(artefacts),
            kind=kind,
            overwrite=overwrite,
        )
    return len(rows), problems


def _item(pairs: Pairs, row: int) -> Item:
    metadata: dict[str, list[str]] = {}
    for column in np.flatnonzero(pairs.labels[row]):
        group, separator, value = pairs.label_names[column].partition("=")
        metadata.setdefault(group if separator else "label", []).append(
            value if separator else group
        )
    return Item(
        str(pairs.ids[row]),
        str(pairs.texts[row]),
        str(pairs.images[row]),
        {name: tuple(values) for name, values in metadata.items()},
    )


def _nested_lengths(artefacts: str | Path) -> list[int]:
    """Lengths that the model was trained to be cut to."""
    loss = read_manifest(artefacts)["config"]["loss"]
    return [int(length) for length in loss.get("nested", "").split(",") if length.strip()]


def _decoded(pairs: Pairs, size: int) -> Iterator[tuple[list[int], np.ndarray, list]]:
    """Chunks of readable rows, their pixels, and the unreadable rows with reasons."""

    def load(row):
        return pixels_or_reason(pairs.images[row], size)

    with (
        ThreadPoolExecutor(num_cores()) as pool,
        tqdm(total=len(pairs), desc="encode", unit="item") as bar,
    ):
        for start in range(0, len(pairs), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(pairs)))
            loaded = list(zip(rows, pool.map(load, rows), strict=True))
            good = [(row, each) for row, each in loaded if not isinstance(each, str)]
            failed = [(row, each) for row, each in loaded if isinstance(each, str)]
            pixels = np.stack([each for _, each in good]) if good else np.empty(0)
            yield [row for row, _ in good], pixels, failed
            bar.update(len(rows))
