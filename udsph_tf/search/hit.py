"""What a database holds and what a search gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Hit", "Item"]


@dataclass(frozen=True)
class Item:
    """One member of the database: a picture and the words that go with it.

    Args:
        id: the name the user knows the item by.
        text: its words; any string.
        image: where the picture is. A path, a URL, a member of an archive: the search never
            opens it and hands it back unchanged.
        metadata: values by field, such as `{"colour": ("red", "white")}`; a search can be narrowed
            to items that have a value.

    Example:
        >>> Item(id="7", text="a red dress", image="photos/7.jpg").text
        'a red dress'
    """

    id: str
    text: str
    image: str
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Hit:
    """One neighbour of a query.

    Args:
        item: the database item that was found.
        distance: number of bits in which its code differs from the query's, in [0, num_bits].
        rank: place in the result, 1 for the nearest.
        asymmetric: where the hits were re-ranked, the distance between the query's real-valued
            hash and the item's code, in [0, num_bits]; else None.

    Example:
        >>> hit = Hit(item=Item("7", "a red dress", "photos/7.jpg"), distance=3, rank=1)
        >>> hit.rank, hit.distance
        (1, 3)
    """

    item: Item
    distance: int
    rank: int
    asymmetric: float | None = None
