"""What a pair is: one collection type for pictures with words and labels."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["ROLES", "Pairs", "Problem", "check_ids", "holds_vectors", "multi_hot"]

ROLES = ("train", "database", "validation", "query")


@dataclass(frozen=True)
class Problem:
    """An item that cannot be used, and why."""

    id: str
    source: str
    reason: str


@dataclass(frozen=True)
class Pairs:
    """Items that have a picture, words and labels each.

    Args:
        name: the data set's name.
        ids: n different strings.
        images: n image sources (see `udsph_tf.data.images`), or (n, dim) float where a data set
            has feature vectors in their place.
        texts: n strings, or (n, dim) float.
        labels: (n, num_labels) uint8, multi-hot.
        label_names: num_labels names. A name of the form `group=value` belongs to `group`.
        roles: n of `ROLES`, or None before a split. `train` items are part of the database. A
            reader gives `query` and `database` where the data set fixes its query items.

    Raises:
        ValueError: lengths differ, a label is not 0 or 1, an id occurs twice, or a role is unknown.
    """

    name: str
    ids: np.ndarray
    images: np.ndarray
    texts: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]
    roles: np.ndarray | None = None

    def __post_init__(self):
        for column in ("ids", "images", "texts", "roles"):
            values = getattr(self, column)
            if values is not None:
                vectors = column in ("images", "texts") and holds_vectors(values)
                dtype = np.float32 if vectors else object
                object.__setattr__(self, column, np.asarray(values, dtype=dtype))
        labels = np.asarray(self.labels)
        if not np.isin(labels, (0, 1)).all():
            raise ValueError(f"`labels` must hold only 0 and 1. Received: {np.unique(labels)[:5]}")
        object.__setattr__(self, "labels", labels.astype(np.uint8))
        object.__setattr__(self, "label_names", tuple(self.label_names))
        columns = ("ids", "images", "texts", "labels") + ("roles",) * (self.roles is not None)
        lengths = {column: len(getattr(self, column)) for column in columns}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The columns of `Pairs` must be equally long. Received: {lengths}")
        if self.labels.ndim != 2 or self.labels.shape[1] != len(self.label_names):
            raise ValueError(
                "`labels` must have one column for each of `label_names`. "
                f"Received: shape={self.labels.shape}, {len(self.label_names)} names"
            )
        check_ids(self.ids, self.name)
        if self.roles is not None and not set(self.roles) <= set(ROLES):
            raise ValueError(f"`roles` must be of {ROLES}. Received: {set(self.roles)}")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Pairs":
        """The items at `indices` (integers, or a mask of n booleans), in that order."""
        indices = np.asarray(indices)
        if not len(indices):
            indices = indices.astype(int)  # an empty list would be one of floats
        return replace(
            self,
            ids=self.ids[indices],
            images=self.images[indices],
            texts=self.texts[indices],
            labels=self.labels[indices],
            roles=None if self.roles is None else self.roles[indices],
        )

    def indices(self, role: str) -> np.ndarray:
        """Positions of the items of a role; those of `database` include `train`."""
        if self.roles is None:
            raise ValueError("These pairs have no roles yet; apply a split first")
        if role not in ROLES:
            raise ValueError(f"`role` must be one of {ROLES}. Received: role={role!r}")
        roles = ("train", "database") if role == "database" else (role,)
        return np.flatnonzero(np.isin(self.roles, roles))

    def label_groups(self) -> dict[str, list[int]]:
        """Columns of `labels` by the group in their name (`group=value`)."""
        groups: dict[str, list[int]] = {}
        for column, name in enumerate(self.label_names):
            group, separator, _ = name.partition("=")
            if separator:
                groups.setdefault(group, []).append(column)
        return groups

    def drop_unused_labels(self) -> "Pairs":
        """Without the label columns that no item has."""
        used = np.flatnonzero(self.labels.any(axis=0))
        names = tuple(self.label_names[column] for column in used)
        return replace(self, labels=self.labels[:, used], label_names=names)

    def checksum(self) -> str:
        """SHA-256 over ids, texts, labels and vectors in the order of the ids."""
        digest = hashlib.sha256("\x1f".join(self.label_names).encode())
        for row in np.argsort(self.ids.astype(str), kind="stable"):
            hot = ",".join(str(column) for column in np.flatnonzero(self.labels[row]))
            text = _content(self.texts[row])
            digest.update(f"\x1e{self.ids[row]}\x1f{text}\x1f{hot}".encode())
            # Sources of pictures are paths, which differ from machine to machine.
            if holds_vectors(self.images):
                digest.update(f"\x1f{_content(self.images[row])}".encode())
        return digest.hexdigest()


def check_ids(ids: Sequence[str] | np.ndarray, where: str) -> None:
    """Refuse ids that occur twice.

    Args:
        ids: n strings.
        where: the file that has them, for the message.

    Raises:
        ValueError: one occurs twice.
    """
    names, counts = np.unique(np.asarray(ids).astype(str), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{where}: duplicate ids: {_some(names[counts > 1])}. Every item needs its own id: "
            "leave one row of each"
        )


def holds_vectors(column: Sequence | np.ndarray) -> bool:
    """Is this column of `Pairs` feature vectors, (n, dim) float, in place of pictures or words?"""
    return isinstance(column, np.ndarray) and column.ndim == 2 and column.dtype.kind == "f"


def multi_hot(label_sets: Iterable[Iterable[str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Multi-hot labels and their names, sorted, from a set of names for each item.

    Example:
        >>> labels, names = multi_hot([["b"], ["a", "b"]])
        >>> names, labels.tolist()
        (('a', 'b'), [[0, 1], [1, 1]])
    """
    label_sets = [list(names) for names in label_sets]
    names = sorted({name for one in label_sets for name in one})
    column: Mapping[str, int] = {name: index for index, name in enumerate(names)}
    labels = np.zeros((len(label_sets), len(names)), dtype=np.uint8)
    for row, one in enumerate(label_sets):
        labels[row, [column[name] for name in one]] = 1
    return labels, tuple(names)


def _content(value: str | np.ndarray) -> str:
    return value.astype("<f4").tobytes().hex() if isinstance(value, np.ndarray) else value


def _some(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more
