"""What is known of a data set that can be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from udsph_tf.config import DataConfig
from udsph_tf.data.checking import Finding
from udsph_tf.data.pairs import Pairs, Problem

__all__ = ["FROZEN_LITE0", "Dataset"]

FROZEN_LITE0 = {
    "body": "efficientnet_lite0",
    "size": 128,
    "pooling": "stages",
    "trainable": False,
}
"""Image settings that suit photos."""


@dataclass(frozen=True)
class Dataset:
    """How a data set is read, and what its users should know.

    Args:
        read: from its configuration to pairs and unusable rows; opens no picture.
        finish: from the readable pairs to those that the protocol keeps.
        source: where it is to be had.
        size: what there is to download.
        licence: its licence and attribution.
        layout: what the root holds.
        defaults: tables of the configuration that suit it, over the defaults of `Config`.
        unlabelled: further ones for a data set without labels, where the user gives none.
        options: keys of `DataConfig` that its reader follows, beside root and split.
        items: items of the literature's protocol, 0 where there is no such number.
        check: from the root to findings about its parts; None where only the number of items and
            unusable rows can be told.
    """

    read: Callable[[DataConfig], tuple[Pairs, list[Problem]]]
    finish: Callable[[Pairs], Pairs]
    source: str
    size: str
    licence: str
    layout: str
    defaults: dict[str, dict[str, Any]]
    unlabelled: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    items: int = 0
    check: Callable[[str], list[Finding]] | None = None
