"""Unseen kinds: some kinds of items are left out of training, and searched for all the same.

What a label says of an item can be learned only where training items have it. How well codes do on
kinds that training never met is measured with these: their items stay among the query, validation
and database items, and no training item is of such a kind.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from udsph_tf.data.pairs import Pairs
from udsph_tf.data.splits import Split

__all__ = ["KIND_GROUP", "MIN_KIND_ITEMS", "hold_out_kinds", "train_without_kinds"]

KIND_GROUP = "articleType"
"""The group of labels whose values are the kinds, where a configuration asks for unseen ones."""
MIN_KIND_ITEMS = 150
"""Items that a kind needs at least to be held out there."""


def hold_out_kinds(
    pairs: Pairs, group: str, number: int, minimum: int, seed: int
) -> tuple[str, ...]:
    """Draw kinds to hold out at random among those with many items.

    Args:
        pairs: all usable items, of any roles.
        group: of labels, one of `pairs.label_groups()`; its values are the kinds.
        number: kinds to draw, at least 1.
        minimum: items that a kind needs at least.
        seed: seed of the draw. The draw depends on it and on the names that qualify alone.

    Returns:
        `number` names of labels, as `group=value`, sorted.

    Raises:
        ValueError: there is no such group, or too few kinds have enough items. One must be left to
            train on.
    """
    columns = pairs.label_groups().get(group)
    if columns is None:
        raise ValueError(
            f"`group` must be a group of labels, one of {sorted(pairs.label_groups())}. "
            f"Received: group={group!r}"
        )
    items = pairs.labels[:, columns].sum(axis=0, dtype=int)
    qualified = sorted(
        pairs.label_names[column]
        for column, count in zip(columns, items, strict=True)
        if count >= minimum
    )
    if not 1 <= number <= min(len(qualified), len(columns) - 1):
        raise ValueError(
            f"`number` must be at least 1 and leave a kind to train on; {len(qualified)} of "
            f"{len(columns)} kinds of {group} have {minimum} items. Received: number={number!r}"
        )
    drawn = np.random.default_rng(seed).choice(len(qualified), number, replace=False)
    return tuple(sorted(qualified[each] for each in drawn))


def train_without_kinds(pairs: Pairs, split: Split, names: Collection[str]) -> Split:
    """A split whose training items of some kinds have become plain `database` items.

    Args:
        pairs: the items of the split.
        split: any split of them.
        names: of labels, as `hold_out_kinds` gives them.

    Returns:
        The split; the roles `query`, `validation` and, since it includes the training items, the
        whole `database` are as they were.

    Raises:
        ValueError: there is no such label, or no two training items that are left share a label.
    """
    unknown = sorted(set(names) - set(pairs.label_names))
    if unknown:
        raise ValueError(f"`names` must be labels of the pairs. Received: {unknown}")
    columns = [pairs.label_names.index(name) for name in names]
    out = set(pairs.ids[pairs.labels[:, columns].any(axis=1)])
    train = tuple(each for each in split.roles["train"] if each not in out)
    moved = tuple(each for each in split.roles["train"] if each in out)
    left = np.isin(pairs.ids.astype(str), train)
    if pairs.labels[left].sum(axis=0, dtype=int).max(initial=0) < 2:
        raise ValueError(
            f"Without {', '.join(sorted(names))} no two training items share a label. "
            "Hold fewer kinds out: --set data.unseen_kinds=..."
        )
    database = tuple(sorted(split.roles["database"] + moved))
    return replace(split, roles={**split.roles, "train": train, "database": database})
