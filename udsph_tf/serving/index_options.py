"""How an index is written."""

from dataclasses import dataclass

__all__ = ["IndexOptions"]


@dataclass(frozen=True)
class IndexOptions:
    """How an index is written: as a new one, or into one that is there.

    Args:
        kind: "exact", or "ivf", "hnsw" or "multihash", which are approximate.
        add: add the items to the index that is there, whose kind stays as it is.
        replace: with `add`, put items in the places of those with the same ids.
        overwrite: replace an index that is there.

    Raises:
        ValueError: one of them would be ignored.

    Example:
        >>> IndexOptions(kind="ivf", overwrite=True).add
        False
    """

    kind: str = "exact"
    add: bool = False
    replace: bool = False
    overwrite: bool = False

    def __post_init__(self):
        if self.add and (self.overwrite or self.kind != "exact"):
            raise ValueError(
                "add (--add) keeps the index as it is, so neither overwrite (--overwrite) nor "
                "kind (--kind) goes with it"
            )
        if self.replace and not self.add:
            raise ValueError(
                "replace (--replace) goes with add (--add); overwrite (--overwrite) replaces the "
                "whole index"
            )
