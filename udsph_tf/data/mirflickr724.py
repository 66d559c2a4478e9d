"""The 724 photos of MIRFlickr-25K that come with their tags and labels.

Layout: `tags_labels.npz` with `image_id` (n,), `tags` (n, num_tags) and `labels` (n, num_labels) of
0 and 1, and `label_names`; beside it the folder `images/` or the archive `images.zip` with
`im<image_id>.jpg`. The tags' words are not known, so the text of an item is pseudo words, one for
each column of `tags`: `tag0017 tag0903`.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from udsph_tf.data.download import folder_with
from udsph_tf.data.image_folder import image_source
from udsph_tf.data.pairs import Pairs, Problem, check_ids

__all__ = ["read_mirflickr724"]

_ARRAYS_FILE = "tags_labels.npz"
_ARRAYS = {"image_id": 1, "tags": 2, "labels": 2, "label_names": 1}


def read_mirflickr724(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """Read the photos' sources, tags and labels; items without a tag or a label are reported.

    Args:
        root: the folder that holds `tags_labels.npz` and the pictures.

    Returns:
        The pairs, and the items that cannot be used.

    Raises:
        FileNotFoundError: `tags_labels.npz` or the pictures are not where they should be.
        ValueError: an array is missing, or the arrays do not fit each other.
    """
    root = folder_with(_ARRAYS_FILE, root, f"{_ARRAYS_FILE} and images/ (or images.zip)")
    path = root / _ARRAYS_FILE
    source = image_source(root)
    arrays = _read_arrays(path)
    ids = [f"im{number}" for number in arrays["image_id"]]
    check_ids(ids, str(path))
    tagged, labelled = arrays["tags"].any(axis=1), arrays["labels"].any(axis=1)
    problems = [
        Problem(
            ids[row], f"{path}, row {row}", f"the item has no {'label' if tagged[row] else 'tag'}"
        )
        for row in np.flatnonzero(~(tagged & labelled))
    ]
    usable = np.flatnonzero(tagged & labelled)
    pairs = Pairs(
        name="mirflickr724",
        ids=[ids[row] for row in usable],
        images=[source(ids[row]) for row in usable],
        texts=[_pseudo_words(arrays["tags"][row]) for row in usable],
        labels=arrays["labels"][usable],
        label_names=[str(name) for name in arrays["label_names"]],
    )
    return pairs, problems


def _pseudo_words(hot: np.ndarray) -> str:
    return " ".join(f"tag{column:04d}" for column in np.flatnonzero(hot))


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # NumPy leaves a file that it opened itself open where it is no archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            absent = [name for name in _ARRAYS if name not in file.files]
            if absent:
                raise ValueError(f"it lacks the array {absent[0]}; it has {file.files}")
            arrays = {name: file[name] for name in _ARRAYS}
    except (
        AttributeError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"{path} cannot be used: {error}. Copy or download it again") from error
    for name, ndim in _ARRAYS.items():
        if arrays[name].ndim != ndim:
            raise ValueError(
                f"{path}: `{name}` must have {ndim} axes. Received: shape={arrays[name].shape}"
            )
    rows = {name: len(arrays[name]) for name in ("image_id", "tags", "labels")}
    if len(set(rows.values())) != 1:
        raise ValueError(f"{path}: the arrays must have a row for each item. Received: {rows}")
    if arrays["labels"].shape[1] != len(arrays["label_names"]):
        raise ValueError(
            f"{path}: `labels` must have a column for each of `label_names`. "
            f"Received: {arrays['labels'].shape[1]} columns, {len(arrays['label_names'])} names"
        )
    return arrays
