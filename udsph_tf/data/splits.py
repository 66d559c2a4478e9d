"""Roles of items: made from a seed, written to a file, checked against their data."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from udsph_tf.data.pairs import ROLES, Pairs
from udsph_tf.files import write_text

__all__ = ["Split", "apply_split", "make_split", "read_split", "write_split"]

_FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Ids by role, the seed they were drawn with, and the checksum of the data."""

    dataset: str
    seed: int
    data_checksum: str
    roles: dict[str, tuple[str, ...]]

    def checksum(self) -> str:
        """SHA-256 over everything above."""
        content = [self.dataset, self.seed, self.data_checksum, self.roles]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_split(
    pairs: Pairs, *, num_query: int = 0, num_validation: int = 0, num_train: int = 0, seed: int = 0
) -> Split:
    """Draw query, validation and training items at random; the rest is database.

    Where the pairs have roles already, those of `query`, `validation` and `train` are kept, and
    roles that none has are drawn among the `database`.

    Args:
        pairs: all usable items.
        num_query: items of the role `query`; 0 takes a tenth of all, at most 2,000, or those that
            are fixed.
        num_validation: items of the role `validation`; 0 takes a tenth of all, at most 2,000, and
            -1 takes none.
        num_train: items of the role `train`, out of the database; 0 takes all of it.
        seed: seed of the draw. The draw depends on it and on the ids alone.

    Raises:
        ValueError: there are too few items, no two training items share a label (where there are
            labels), or a number is not that of the items whose role is fixed.
    """
    if min(num_query, num_validation + 1, num_train) < 0:
        raise ValueError(
            "`num_query`, `num_validation` and `num_train` must not be negative, but for "
            "num_validation=-1, which takes none. "
            f"Received: {num_query}, {num_validation}, {num_train}"
        )
    by_id = np.argsort(pairs.ids.astype(str), kind="stable")
    given = np.full(len(pairs), "database") if pairs.roles is None else pairs.roles
    parts = {role: by_id[given[by_id] == role] for role in ROLES}
    numbers = {"query": num_query, "validation": max(0, num_validation), "train": num_train}
    for role, number in numbers.items():
        if len(parts[role]) and number not in (0, len(parts[role])):
            raise ValueError(
                f"`{pairs.name}` fixes its {len(parts[role])} {role} items; leave data.num_{role} "
                f"at 0. Received: num_{role}={number}"
            )
    tenth = min(2000, max(1, len(pairs) // 10))
    # What is fixed is not drawn; a training set that is fixed leaves no item that must be one.
    draw = {
        "query": 0 if len(parts["query"]) else num_query or tenth,
        "validation": 0
        if len(parts["validation"]) or num_validation < 0
        else num_validation or tenth,
    }
    free = parts["database"]
    left = len(free) - sum(draw.values())
    if left < (0 if len(parts["train"]) else max(2, num_train)):
        num_query, num_validation = (draw[each] or len(parts[each]) for each in draw)
        raise ValueError(
            f"{len(pairs)} items cannot give {num_query} query, {num_validation} validation and "
            f"{num_train or 'at least 2'} training items. Lower --set data.num_query=..., "
            "data.num_validation=... or data.num_train=..."
        )
    draw["train"] = 0 if len(parts["train"]) else num_train or left
    order = free[np.random.default_rng(seed).permutation(len(free))]
    drawn = np.split(order, np.cumsum(list(draw.values())))
    for role, rows in zip((*draw, "database"), drawn, strict=True):
        parts[role] = rows if role == "database" else np.concatenate([parts[role], rows])
    shared = pairs.labels[parts["train"]].sum(axis=0).max(initial=0)
    if pairs.label_names and shared < 2:
        raise ValueError(
            "No two training items share a label, so there is no similarity to learn. "
            "Give labels that several items have"
        )
    roles = {role: tuple(sorted(str(each) for each in pairs.ids[parts[role]])) for role in ROLES}
    return Split(pairs.name, seed, pairs.checksum(), roles)


def apply_split(pairs: Pairs, split: Split) -> Pairs:
    """The pairs with their roles.

    Raises:
        ValueError: the split was made of other data.
    """
    if split.data_checksum != pairs.checksum():
        raise ValueError(
            f"The split was made of other data (of `{split.dataset}`, checksum "
            f"{split.data_checksum[:12]}); these pairs have checksum {pairs.checksum()[:12]}. "
            "Use the data the split was made of, or make a new split"
        )
    role_of = {item: role for role, ids in split.roles.items() for item in ids}
    return replace(pairs, roles=[role_of[str(item)] for item in pairs.ids])


def write_split(path: str | Path, split: Split) -> None:
    """Write the split as JSON with its checksum."""
    content = {
        "format": _FORMAT,
        "dataset": split.dataset,
        "seed": split.seed,
        "data_checksum": split.data_checksum,
        "checksum": split.checksum(),
        "counts": {role: len(ids) for role, ids in split.roles.items()},
        "roles": split.roles,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_split(path: str | Path) -> Split:
    """Read a split file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a split file, of another format, or its checksum is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no split file {path}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        format_number = content["format"]
        roles = {role: tuple(content["roles"][role]) for role in ROLES}
        split = Split(content["dataset"], content["seed"], content["data_checksum"], roles)
        expected = str(content["checksum"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a split file: {error!r}") from error
    if format_number != _FORMAT:
        raise ValueError(f"{path} has format {format_number!r}, this version reads {_FORMAT}")
    if split.checksum() != expected:
        raise ValueError(
            f"{path} has been changed or damaged: its checksum is {split.checksum()[:12]}, "
            f"not {expected[:12]}. Make the split again from its seed"
        )
    return split
