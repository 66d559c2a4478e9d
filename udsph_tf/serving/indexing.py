"""Build a search index: every item of a collection through the exported encoders."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from udsph_tf.data.pairs import Pairs, Problem
from udsph_tf.search import Item, MilvusIndex, add_items, write_index
from udsph_tf.search.store import check_target
from udsph_tf.serving.code_files import CodeFiles
from udsph_tf.serving.index_options import IndexOptions
from udsph_tf.serving.item_encoder import ItemEncoder, items_of

__all__ = ["index_codes", "index_codes_in_milvus", "index_pairs"]

_LOG = logging.getLogger(__name__)
_ANEW = IndexOptions()


def index_pairs(
    pairs: Pairs,
    artefacts: str | Path,
    out: str | Path,
    options: IndexOptions = _ANEW,
) -> tuple[int, list[Problem]]:
    """Encode pictures and texts and write them as an index folder.

    An item gets three codes: of its picture, of its words, and of both together. Its labels become
    its metadata: `colour=red` the value `red` of `colour`, a plain label a value of `label`.

    Args:
        pairs: the collection.
        artefacts: the export folder.
        out: the index folder.
        options: how it is written.

    Returns:
        The number of items indexed, and those left out because their picture is unusable.

    Raises:
        FileExistsError: `out` exists.
        ValueError: no item is usable, or the collection holds feature vectors.
    """
    if not options.add:
        check_target(Path(out), options.overwrite)  # before the long work, not after it
    items = items_of(pairs)
    encoder = ItemEncoder(artefacts)
    with tqdm(total=len(items), desc="encode", unit="item") as bar:
        encoded = encoder.encode(items, bar.update)
    if encoded.problems:
        _LOG.warning("%d items with an unusable picture are left out", len(encoded.problems))
    _write(
        out,
        encoded.codes,
        encoded.items,
        encoder.model_checksum,
        {"dataset": pairs.name, "left_out": [vars(each) for each in encoded.problems]},
        encoder.nested,
        options,
    )
    return len(encoded.items), encoded.problems


def index_codes(
    codes: str | Path,
    out: str | Path,
    options: IndexOptions = _ANEW,
) -> tuple[int, list[Problem]]:
    """Write what bulk encoding has made (`encode_pairs`) as an index folder.

    Args:
        codes: the folder of Parquet files; the other arguments are those of `index_pairs`.

    Returns:
        The number of items indexed, and those that the encoding left out.

    Raises:
        FileExistsError: `out` exists.
        FileNotFoundError: there are no codes, or their encoding has not ended.
        ValueError: the codes are damaged, or no item is usable.
    """
    if not options.add:
        check_target(Path(out), options.overwrite)
    files = CodeFiles(codes)
    _write(
        out,
        files.codes(),
        files.items(),
        files.model_checksum,
        {"dataset": files.dataset, "left_out": [vars(each) for each in files.problems]},
        files.nested,
        options,
    )
    return len(files), files.problems


def index_codes_in_milvus(
    codes: str | Path,
    uri: str,
    collection: str,
    options: IndexOptions = _ANEW,
) -> tuple[int, list[Problem]]:
    """Put what bulk encoding has made into a Milvus collection.

    Args:
        codes: the folder of Parquet files.
        uri, collection: as for `MilvusIndex`.
        options: how it is written; `kind` may be "exact" or "ivf".

    Returns:
        As `index_codes`.

    Raises:
        As `index_codes` and `MilvusIndex.create` do.
    """
    files = CodeFiles(codes)
    content = {f"{modality}_packed": packed for modality, packed in files.codes().items()}
    content |= {"items": files.items(), "model_checksum": files.model_checksum}
    if options.add:
        index = MilvusIndex(uri, collection)
        index.add(**content, replace=options.replace)
    else:
        index = MilvusIndex.create(
            uri,
            collection,
            **content,
            metadata={"dataset": files.dataset},
            kind=options.kind,
            overwrite=options.overwrite,
        )
    index.close()
    return len(files), files.problems


def _write(
    out: str | Path,
    codes: Mapping[str, np.ndarray],
    items: Iterable[Item],
    model_checksum: str,
    metadata: dict[str, Any],
    nested: list[int],
    options: IndexOptions,
) -> None:
    if not len(codes["image"]):
        raise ValueError("No item has a usable picture, so there is nothing to index")
    content = {f"{modality}_packed": packed for modality, packed in codes.items()}
    content |= {"items": items, "model_checksum": model_checksum}
    if options.add:
        add_items(out, **content, replace=options.replace)
    else:
        write_index(
            out,
            **content,
            metadata=metadata,
            nested=nested,
            kind=options.kind,
            overwrite=options.overwrite,
        )
