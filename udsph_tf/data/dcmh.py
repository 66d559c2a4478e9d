"""The matrices of the DCMH line (Jiang and Li, CVPR 2017): tags, labels, pictures for MATLAB.

`mirflickr25k-yall.mat` holds `YAll` (20,015 x 1,386 tags), `mirflickr25k-lall.mat` `LAll` (20,015 x
24 labels); optional are `mirflickr25k-iall.mat` with `IAll` (pictures, see
`udsph_tf.data.mat_pictures`; or n x dim feature vectors, also as `XAll`) and
`mirflickr25k-fall.mat` with `FAll` (names of the picture files). `nus-wide-tc21-*` and
`nus-wide-tc10-*` are alike, and all variables may be in one file (`FLICKR-25K.mat`, whose pictures
are `images`). MATLAB 5 and 7.3 are read. The tags' words are not in the
matrices, so the text of an item is pseudo words, one for each tag: `tag0017 tag0903`.
"""

from pathlib import Path

import numpy as np

from udsph_tf.data.checking import Finding
from udsph_tf.data.download import Download, some
from udsph_tf.data.mat_file import MatFile
from udsph_tf.data.mat_pictures import PICTURES, picture_axes
from udsph_tf.data.mirflickr25k import POTENTIAL
from udsph_tf.data.pairs import Pairs, Problem, check_ids

__all__ = ["check_dcmh", "read_dcmh"]

_LAYOUT = "*yall.mat, *lall.mat and, for pictures, *iall.mat, or *fall.mat and the photos"
_TAGS, _LABELS, _NAMES = "YAll", "LAll", "FAll"
_KNOWN_ROWS = {20_015: "MIRFlickr-25K", 195_834: "NUS-WIDE TC-21", 186_577: "NUS-WIDE TC-10"}

Variable = tuple[MatFile, str]


def read_dcmh(root: str | Path, *, untagged: str = "keep") -> tuple[Pairs, list[Problem]]:
    """Read tags and labels, and find the pictures.

    Args:
        root: the folder with the files.
        untagged: what becomes of a row without a tag: `"keep"` it with an empty text, as the
            literature's counts do, or `"skip"` it.

    Returns:
        The pairs in the order of the rows, with ids 0, 1, ..., or the names of the picture files
        where there are some; and the rows without a label. Without
        any picture, image sources are empty: such pairs can be counted and split, not trained on.

    Raises:
        FileNotFoundError: tags or labels are missing.
        ImportError: SciPy or h5py is not installed.
        ValueError: a file is damaged, holds something else, or does not fit the others.
    """
    with Download(root, _LAYOUT) as files:
        found = _variables(files)
        tags, labels = _tags_and_labels(files, found)
        number = len(tags)
        ids = [str(row) for row in range(number)]
        images: np.ndarray | list[str] = [""] * number
        reasons = {}
        pictures = next((found[name] for name in PICTURES if name in found), None)
        if pictures:
            images = _pictures(*pictures, number)
        elif _NAMES in found:
            names = _names(*found[_NAMES], number)
            ids = [Path(name).stem for name in names]
            check_ids(ids, f"{found[_NAMES][0].path}, {_NAMES}")
            photos = {m[2].lower(): e for m, e in files.match(r"([^/]+\.(?:jpe?g|png))")}
            if photos:
                here = [photos.get(name.lower()) for name in names]
                # A picture that is not there has a source too, found wanting when it is read.
                images = [
                    each.source if each else str(files.root / name)
                    for name, each in zip(names, here, strict=True)
                ]
    path = str(found[_LABELS][0].path)
    for row in np.flatnonzero(~labels.any(axis=1)):
        reasons[int(row)] = "the row has no label; it is in the wrong file or of another data set"
    problems = [Problem(ids[row], f"{path}, row {row}", reasons[row]) for row in sorted(reasons)]
    kept = np.ones(number, bool) if untagged == "keep" else tags.any(axis=1)
    kept[list(reasons)] = False
    width = labels.shape[1]
    pairs = Pairs(
        name="dcmh",
        ids=ids,
        images=images,
        texts=[" ".join(f"tag{column:04d}" for column in np.flatnonzero(row)) for row in tags],
        labels=labels,
        label_names=POTENTIAL if width == len(POTENTIAL) else _label_names(width),
    )
    return pairs.take(np.flatnonzero(kept)), problems


def check_dcmh(root: str | Path) -> list[Finding]:
    """Compare the number of rows with the published ones, and say what there is."""
    with Download(root, _LAYOUT) as files:
        found = _variables(files)
        tags, labels = _tags_and_labels(files, found)
    rows = len(tags)
    nearest = min(_KNOWN_ROWS, key=lambda each: abs(each - rows))
    untagged = int((~tags.any(axis=1)).sum())
    sums = " ".join(str(each) for each in labels.sum(axis=0, dtype=int))
    have = [name for name in (*PICTURES, _NAMES) if name in found]
    return [
        Finding(f"rows ({_KNOWN_ROWS[nearest]})", nearest, rows),
        Finding("rows without a label", 0, int((~labels.any(axis=1)).sum())),
        _said(f"rows without a tag (of {tags.shape[1]:,} tags)", untagged),
        _said(f"labels (items of each: {sums})", labels.shape[1]),
        _said(
            f"variables with pictures ({', '.join(have) or 'none: texts and labels alone'})",
            len(have),
        ),
    ]


def _said(part: str, number: int) -> Finding:
    """A number that has no expected value."""
    return Finding(part, number, number)


def _variables(files: Download) -> dict[str, Variable]:
    """Where each of the variables is that are read."""
    found: dict[str, Variable] = {}
    for _, entry in files.match(r"[^/]+\.mat"):
        if entry.archive:
            raise ValueError(f"{entry.path} is in an archive, where it cannot be read. Unpack it")
        file = MatFile(entry.file)
        for name in (_TAGS, _LABELS, *PICTURES, _NAMES):
            spelt = file.find(name)
            if spelt is None:
                continue
            if name in found:
                raise ValueError(
                    f"{name} is both in {found[name][0].path} and in {file.path}. `--root` must be "
                    "the folder of one data set"
                )
            found[name] = file, spelt
    return found


def _tags_and_labels(files: Download, found: dict[str, Variable]) -> tuple[np.ndarray, np.ndarray]:
    for name, file in ((_TAGS, "yall"), (_LABELS, "lall")):
        if name not in found:
            others = [str(e.file) for _, e in files.match(rf"[^/]*{file}\.mat")]
            if others:
                held = some(MatFile(others[0]).names) or "nothing"
                raise ValueError(
                    f"{others[0]} has no variable {name}, but {held}. Were files swapped or "
                    "renamed?"
                )
            raise files.absent(rf"[^/]*{file}\.mat", f"*{file}.mat with the variable {name}")
    tags, labels = (found[name][0].array(found[name][1]) for name in (_TAGS, _LABELS))
    tag_file, label_file = (found[name][0].path for name in (_TAGS, _LABELS))
    for path, name, array in ((tag_file, _TAGS, tags), (label_file, _LABELS, labels)):
        if array.ndim != 2:
            raise ValueError(f"{path}: {name} must be a matrix. Received: shape={array.shape}")
    if len(tags) != len(labels) and tags.shape[1] == labels.shape[1]:
        tags, labels = tags.T, labels.T  # saved with the items as columns
    if len(tags) != len(labels):
        raise ValueError(
            f"{tag_file} has {len(tags):,} rows, but {label_file} has {len(labels):,}. Are both "
            "of the same data set, and whole?"
        )
    if labels.shape[1] > tags.shape[1]:
        raise ValueError(
            f"{label_file} has {labels.shape[1]:,} labels, but {tag_file} only "
            f"{tags.shape[1]:,} tags. Were the files swapped?"
        )
    wrong = ~np.isin(labels, (0, 1)).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{label_file}, row {row}: labels must be 0 or 1. Received: "
            f"{some(np.unique(labels[row]))}"
        )
    return tags != 0, labels.astype(np.uint8)


def _pictures(file: MatFile, name: str, number: int) -> np.ndarray | list[str]:
    """Sources of the pictures, or feature vectors."""
    shape = file.shape(name)
    if len(shape) == 2:
        vectors = file.array(name)
        vectors = vectors.T if len(vectors) != number else vectors
        _check_rows(file, name, len(vectors), number)
        return vectors.astype(np.float32)
    _check_rows(file, name, shape[picture_axes(str(file.path), shape)[0]], number)
    return [f"mat:{file.path}!{row}" for row in range(number)]


def _names(file: MatFile, name: str, number: int) -> list[str]:
    names = [Path(each.replace("\\", "/")).name for each in file.strings(name)]
    _check_rows(file, name, len(names), number)
    return names


def _check_rows(file: MatFile, name: str, rows: int, number: int) -> None:
    if rows != number:
        raise ValueError(
            f"{file.path}: {name} has {rows:,} items, but the tags have {number:,}. Are they of "
            "the same data set?"
        )


def _label_names(width: int) -> list[str]:
    return [f"label{column:02d}" for column in range(width)]
