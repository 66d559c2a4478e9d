"""Wikipedia featured articles (Rasiwasia et al., ACM MM 2010), as the authors' feature vectors.

Layout: `raw_features.mat` (MATLAB 5) with `I_tr`, `I_te` (image vectors: 128 SIFT counts as shares)
and `T_tr`, `T_te` (text vectors: 10 topic shares); `trainset_txt_img_cat.list` and
`testset_txt_img_cat.list` with a line of text name, image name and category number for each row;
`categories.list` with the categories' names. The test rows are the query items.
"""

import zlib
from pathlib import Path

import numpy as np

from udsph_tf.data.download import decode_text, folder_with
from udsph_tf.data.pairs import Pairs, Problem, check_ids, multi_hot

__all__ = ["read_wikipedia"]

_FEATURES, _CATEGORIES = "raw_features.mat", "categories.list"
_PARTS = {"tr": "trainset_txt_img_cat.list", "te": "testset_txt_img_cat.list"}
_LAYOUT = f"{_FEATURES}, {', '.join(_PARTS.values())} and {_CATEGORIES}"


def read_wikipedia(root: str | Path) -> tuple[Pairs, list[Problem]]:
    """Read vectors and categories; rows that are not finite are reported.

    Args:
        root: the folder that holds the four files.

    Returns:
        The pairs, whose images and texts are vectors and whose roles are `query` for the test
        rows and `database` for the others; and the rows that cannot be used.

    Raises:
        FileNotFoundError: a file is missing; the message names it.
        ImportError: SciPy is not installed.
        ValueError: the features are not of MATLAB 5, a variable is missing, or rows do not match
            the lists.
    """
    root = folder_with(_FEATURES, root, _LAYOUT)
    for name in (_FEATURES, *_PARTS.values(), _CATEGORIES):
        if not (root / name).is_file():
            raise FileNotFoundError(
                f"There is no {root / name}. `--root` must be a folder with {_LAYOUT} in it"
            )
    features = _read_features(root / _FEATURES)
    categories = _text(root / _CATEGORIES).split()
    if not categories:
        raise ValueError(f"{root / _CATEGORIES} is empty. Download it again")
    ids, names, roles = [], [], []
    for part, file in _PARTS.items():
        rows = _read_list(root / file, categories)
        for variable in (f"I_{part}", f"T_{part}"):
            if len(features[variable]) != len(rows):
                raise ValueError(
                    f"{root / _FEATURES}: {variable} has {len(features[variable])} rows, but "
                    f"{root / file} has {len(rows)}. Were the lists swapped? Download again "
                    "what is cut off"
                )
        ids += [name for name, _ in rows]
        names += [[category] for _, category in rows]
        roles += ["query" if part == "te" else "database"] * len(rows)
    check_ids(ids, f"{root}, {' and '.join(_PARTS.values())}")
    labels, label_names = multi_hot(names)
    pairs = Pairs(
        name="wikipedia",
        ids=ids,
        images=np.concatenate([features["I_tr"], features["I_te"]]),
        texts=np.concatenate([features["T_tr"], features["T_te"]]),
        labels=labels,
        label_names=label_names,
        roles=roles,
    )
    finite = np.isfinite(pairs.images).all(axis=1) & np.isfinite(pairs.texts).all(axis=1)
    problems = [
        Problem(str(item), str(root / _FEATURES), "a feature is infinite or NaN")
        for item in pairs.ids[~finite]
    ]
    return pairs.take(finite), problems


def _read_features(path: Path) -> dict[str, np.ndarray]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ImportError(
            "The `wikipedia` data set needs SciPy to read its features: "
            "pip install 'udsph-tf[matlab]'"
        ) from error
    wanted = [f"{kind}_{part}" for kind in "IT" for part in _PARTS]
    try:
        found = loadmat(path, variable_names=wanted)
    except NotImplementedError as error:
        raise ValueError(
            f"{path} is of MATLAB 7.3, which is not read here; the authors' file is of MATLAB 5. "
            "Save it with -v7"
        ) from error
    except (
        MatReadError,
        LookupError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        raise ValueError(
            f"{path} is not a whole MATLAB 5 file: {error}. Download it again"
        ) from error
    for name in wanted:
        if name not in found:
            raise ValueError(
                f"{path} lacks the variable {name}. Download it again, if it is the right file"
            )
        if found[name].ndim != 2 or found[name].dtype.kind not in "fiu":
            raise ValueError(
                f"{path}: {name} must be a matrix of numbers. "
                f"Received: shape={found[name].shape}, dtype={found[name].dtype}"
            )
    for kind in "IT":
        widths = [found[f"{kind}_{part}"].shape[1] for part in _PARTS]
        if len(set(widths)) != 1:
            raise ValueError(
                f"{path}: {kind}_tr and {kind}_te must be equally wide. Received: {widths}"
            )
    # Single precision, as everything that trains on them.
    return {name: found[name].astype(np.float32) for name in wanted}


def _text(path: Path) -> str:
    return decode_text(path.read_bytes(), str(path))


def _read_list(path: Path, categories: list[str]) -> list[tuple[str, str]]:
    """Text name and category of each line."""
    rows = []
    for number, line in enumerate(_text(path).rstrip().splitlines(), start=1):
        fields = line.split()
        if len(fields) != 3 or fields[2] not in map(str, range(1, len(categories) + 1)):
            raise ValueError(
                f"{path}, line {number}: must be a text name, an image name and a category of 1 "
                f"to {len(categories)}. Received: {line[:80]!r}. Is it the right file, and whole?"
            )
        rows.append((fields[0], categories[int(fields[2]) - 1]))
    return rows
