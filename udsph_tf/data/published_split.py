"""Splits that others have published: index files of query, training and database items.

`data.split` names one of

* a split that this package wrote (`split.json` of a run, to use it again);
* `dataset_*.json` of Karpathy and Fei-Fei;
* a `.mat` or `.npz` file whose variables are named after roles (`indexQuery`, `test_idx`, ...);
* a folder of `.txt`, `.npy` or `.mat` files named so (`idx_test.mat`, `train.txt`, ...).

A name tells its role by one of its words: query, test; train, labeled; val, dev; database,
retrieval, gallery, ret, db. What the numbers are, `data.split_numbers` says.
"""

import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from udsph_tf.data.download import decode_text, some
from udsph_tf.data.karpathy import karpathy_roles
from udsph_tf.data.mat_file import MatFile
from udsph_tf.data.pairs import Pairs
from udsph_tf.data.splits import read_split

__all__ = ["published_roles", "with_roles"]

_WORDS = {
    "query": {"query", "queries", "test", "te"},
    "train": {"train", "training", "tr", "labeled", "labelled"},
    "validation": {"val", "valid", "validation", "dev"},
    "database": {"database", "db", "retrieval", "ret", "gallery", "base"},
}
_FILES = (".txt", ".npy", ".mat")


def published_roles(
    path: str | Path, pairs: Pairs, numbers: str = "ids", left_out: Collection[str] = ()
) -> dict[str, str]:
    """Roles by id; training items that the file also lists as database are `train`.

    Items that it does not list have the role `database` where it lists no database, and none
    elsewhere.

    Args:
        path: the file or folder.
        pairs: all items, as their reader gives them.
        numbers: `"ids"`, or `"rows_from_0"` or `"rows_from_1"` for rows of `pairs`.
        left_out: ids of unusable items, which the file may list.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or lists no query items, an item is unknown or has two roles, or
            rows are asked for and some were left out, so that they cannot be counted.
    """
    path = Path(path)
    listed = _read(path)
    if numbers != "ids" and left_out:
        raise ValueError(
            f"{path}: rows cannot be counted, for {len(left_out):,} items were left out: "
            f"{some(left_out)}. Mend them, or use a split of ids"
        )
    find = _finder([*map(str, pairs.ids), *left_out], numbers)
    roles: dict[str, str] = {}
    for role in ("query", "validation", "train", "database"):
        found = [(entry, find(entry)) for entry in listed.get(role, ())]
        unknown = [entry for entry, item in found if item is None]
        if unknown:
            raise ValueError(
                f"{path}: {len(unknown):,} of {len(found):,} {role} items are not among the "
                f"{len(pairs):,} items of {pairs.name}: {some(unknown)}. Is data.split_numbers="
                f"{numbers} right, and the split of this data set?"
            )
        twice = []
        for _, item in found:
            before = roles.get(item)
            if before and not (before == "train" and role == "database"):
                twice.append(f"{item} ({before})")
            elif not before and item not in left_out:
                roles[item] = role
        if twice:
            raise ValueError(
                f"{path}: {len(twice):,} {role} items are there twice or have another role too: "
                f"{some(twice)}. Held-back items must not be in the database"
            )
    if "query" not in roles.values():
        raise ValueError(f"{path} lists no query items. It lists {some(listed) or 'nothing'}")
    if not listed.get("database"):
        roles = {str(item): roles.get(str(item), "database") for item in pairs.ids}
    return roles


def with_roles(pairs: Pairs, roles: dict[str, str]) -> Pairs:
    """The items that have a role, with it."""
    kept = pairs.take(np.array([item in roles for item in pairs.ids], bool))
    return replace(kept, roles=[roles[item] for item in kept.ids])


def _read(path: Path) -> dict[str, list]:
    """Entries by role."""
    if path.is_dir():
        files = [each for each in sorted(path.iterdir()) if each.suffix.lower() in _FILES]
        return _by_role(path, {each.name: each for each in files}, _read_list)
    if not path.is_file():
        raise FileNotFoundError(f"There is no split {path} (data.split)")
    kind = path.suffix.lower()
    if kind == ".json":
        return _read_json(path)
    if kind == ".mat":
        file = MatFile(path)
        return _by_role(path, {name: name for name in file.names}, lambda name: _mat(file, name))
    if kind == ".npz":
        arrays = _numpy(path)
        return _by_role(path, {name: name for name in arrays}, lambda name: _flat(arrays[name]))
    raise ValueError(
        f"{path}: data.split must be a .json, .mat or .npz file, or a folder of "
        f"{', '.join(_FILES)} files named after their roles"
    )


def _by_role(path: Path, named: dict[str, object], read: Callable) -> dict[str, list]:
    found: dict[str, str] = {}
    for name in named:
        role = _role(name)
        if role and role in found:
            raise ValueError(f"{path}: both {found[role]} and {name} seem to list {role} items")
        if role:
            found[role] = name
    if not found:
        raise ValueError(
            f"{path} has nothing named after a role (such as indexQuery, train.txt); it has "
            f"{some(named) or 'nothing'}"
        )
    return {role: read(named[name]) for role, name in found.items()}


def _role(name: str) -> str | None:
    """The role that a name tells: `indexQuery`, `test_idx.npy`, `Flickr_8k.devImages.txt`."""
    parts = set(re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower().replace("_", " ").split())
    words = {word for part in parts for word in re.findall(r"[a-z]+", part)}
    roles = [role for role, known in _WORDS.items() if words & known]
    return roles[0] if len(roles) == 1 else None


def _read_json(path: Path) -> dict[str, list]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no whole JSON file: {error}") from error
    if isinstance(content, dict) and "data_checksum" in content:
        return {role: list(ids) for role, ids in read_split(path).roles.items()}
    listed: dict[str, list] = {}
    for item, role in karpathy_roles(path.read_bytes(), str(path)).items():
        listed.setdefault(role, []).append(item)
    return listed


def _read_list(path: Path) -> list:
    if path.suffix.lower() == ".npy":
        return _flat(_numpy(path)[""])
    if path.suffix.lower() == ".mat":
        file = MatFile(path)
        if len(file.names) != 1:
            raise ValueError(f"{path} must hold one variable. It holds {some(file.names)}")
        return _mat(file, file.names[0])
    lines = decode_text(path.read_bytes(), str(path)).split("\n")
    return [line.strip() for line in lines if line.strip()]


def _numpy(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name; the one of a `.npy` file has none."""
    try:
        # NumPy leaves a file that it opened itself open where it is damaged.
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return {"": found} if isinstance(found, np.ndarray) else dict(found)
    except (EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _mat(file: MatFile, name: str) -> list:
    try:
        return _flat(file.array(name))
    except ValueError:
        return file.strings(name)


def _flat(array: np.ndarray) -> list:
    if array.dtype.kind == "f" and (array == np.rint(array)).all():
        array = array.astype(np.int64)  # MATLAB's numbers are floats
    return np.ravel(array).tolist()


def _finder(ids: list[str], numbers: str) -> Callable[[object], str | None]:
    """From an entry of a list to the id that it means, or None."""
    if numbers == "ids":
        # `im7.jpg`, `actor\\0001_2.jpg` and `7` mean im7, actor/0001_2 and im7.
        by_name = {item: item for item in ids}
        by_name = _unless_twice((PurePosixPath(item).name, item) for item in ids) | by_name
        by_name = _unless_twice((_stem(item), item) for item in ids) | by_name
        by_name = _unless_twice((_digits(item), item) for item in ids) | by_name

        def find(entry):
            name = str(entry).replace("\\", "/")
            for each in (name, _stem(name), PurePosixPath(name).name, _stem(name).split("/")[-1]):
                if each in by_name:
                    return by_name[each]
            return None

        return find
    first = 0 if numbers == "rows_from_0" else 1

    def row(entry):
        try:
            place = int(entry) - first
        except ValueError:
            return None
        return ids[place] if 0 <= place < len(ids) else None

    return row


def _stem(name: str) -> str:
    return re.sub(r"\.(?:jpe?g|png)$", "", name, flags=re.IGNORECASE)


def _digits(item: str) -> str:
    digits = re.sub(r"\D", "", item)
    return digits.lstrip("0") or digits[:1]


def _unless_twice(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names that mean one id alone."""
    found: dict[str, str | None] = {}
    for name, item in named:
        found[name] = None if name in found else item
    return {name: item for name, item in found.items() if item and name}
