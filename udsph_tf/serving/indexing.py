"""Build a search index: every item of a collection through the exported encoders."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from udsph_tf.data.images import pixels_or_reason
from udsph_tf.data.pairs import Pairs, Problem, holds_vectors
from udsph_tf.litert import num_cores
from udsph_tf.search import Item, write_index
from udsph_tf.search.store import check_target
from udsph_tf.serving.encoders import ImageEncoder, TextEncoder

__all__ = ["index_pairs"]

_LOG = logging.getLogger(__name__)
_CHUNK = 512


def index_pairs(
    pairs: Pairs, artefacts: str | Path, out: str | Path, *, overwrite: bool = False
) -> tuple[int, list[Problem]]:
    """Encode pictures and texts and write them as an index folder.

    Args:
        pairs: the collection.
        artefacts: the export folder.
        out: the index folder.
        overwrite: replace an index that is there.

    Returns:
        The number of items indexed, and those left out because their picture is unusable.

    Raises:
        FileExistsError: `out` exists.
        ValueError: no item is usable, or the collection holds feature vectors.
    """
    check_target(Path(out), overwrite)  # before the long work, not after it
    if holds_vectors(pairs.images) or holds_vectors(pairs.texts):
        raise ValueError(
            f"`{pairs.name}` holds feature vectors, which have no image or text encoder, so they "
            "cannot be indexed; `udsph evaluate` searches them"
        )
    images, texts = ImageEncoder(artefacts), TextEncoder(artefacts)
    codes, problems = [], []
    for rows, pixels, failed in _decoded(pairs, images.size):
        problems += [
            Problem(str(pairs.ids[row]), str(pairs.images[row]), why) for row, why in failed
        ]
        if rows:
            codes.append((rows, images.encode_pixels(pixels)))
    if not codes:
        raise ValueError("No item has a usable picture, so there is nothing to index")
    rows = np.concatenate([rows for rows, _ in codes])
    if problems:
        _LOG.warning("%d items with an unusable picture are left out", len(problems))
    write_index(
        out,
        image_packed=np.concatenate([packed for _, packed in codes]),
        text_packed=texts.encode(pairs.texts[rows]),
        items=(Item(str(pairs.ids[r]), str(pairs.texts[r]), str(pairs.images[r])) for r in rows),
        model_checksum=images.model_checksum,
        metadata={"dataset": pairs.name, "left_out": [vars(each) for each in problems]},
        overwrite=overwrite,
    )
    return len(rows), problems


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
