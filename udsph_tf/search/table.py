"""Search results as a plain-text table and as JSON."""

from collections.abc import Sequence
from typing import Any

from udsph_tf.search.hit import Hit
from udsph_tf.search.plain_text import cut, one_line, width

__all__ = ["format_hits", "hits_as_json"]

_TEXT_COLUMNS = 60
_HEADINGS = ("rank", "distance", "id", "text")


def format_hits(query: str, hits: Sequence[Hit]) -> str:
    """An aligned table of rank, distance, id and text, for a terminal.

    Texts longer than 60 columns are cut with an ellipsis; ids are not, since people copy them.
    Line breaks and other control characters become spaces, and East Asian characters count as
    the two columns they take.

    Args:
        query: what was searched for, shown above the table.
        hits: the hits of one query, nearest first.

    Returns:
        The table, without a line break at its end.

    Example:
        >>> from udsph_tf.search import Item
        >>> print(format_hits("dress", [Hit(Item("7", "a red dress", "7.jpg"), 3, 1)]))
        query: dress
        rank  distance  id  text
           1         3  7   a red dress
    """
    title = f"query: {one_line(query)}"
    if not hits:
        return f"{title}\nno hits"
    rows = [
        (
            str(hit.rank),
            str(hit.distance),
            one_line(hit.item.id),
            cut(one_line(hit.item.text), _TEXT_COLUMNS),
        )
        for hit in hits
    ]
    widths = [max(map(width, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [title]
    for rank, distance, item_id, text in (_HEADINGS, *rows):
        id_padding = " " * (widths[2] - width(item_id))
        line = f"{rank:>{widths[0]}}  {distance:>{widths[1]}}  {item_id}{id_padding}  {text}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def hits_as_json(query: str, hits: Sequence[Hit]) -> dict[str, Any]:
    """The hits of one query as a dict that `json.dumps` accepts, for other programs.

    Args:
        query: what was searched for.
        hits: the hits of that query, nearest first.

    Returns:
        `{"query": ..., "hits": [{"rank", "distance", "id", "text", "image", "metadata"}, ...]}`,
        with `asymmetric` where the hits were re-ranked.

    Example:
        >>> from udsph_tf.search import Item
        >>> (hit,) = hits_as_json("dress", [Hit(Item("7", "a dress", "7.jpg"), 3, 1)])["hits"]
        >>> hit["rank"], hit["distance"], hit["id"]
        (1, 3, '7')
    """
    return {
        "query": query,
        "hits": [
            {
                "rank": int(hit.rank),
                "distance": int(hit.distance),
                "id": hit.item.id,
                "text": hit.item.text,
                "image": hit.item.image,
                "metadata": {name: [*values] for name, values in hit.item.metadata.items()},
                **({} if hit.asymmetric is None else {"asymmetric": float(hit.asymmetric)}),
            }
            for hit in hits
        ],
    }
