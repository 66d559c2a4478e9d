"""Where an index is: a folder, or a collection of a Milvus server."""

import re

__all__ = ["IN_MILVUS", "milvus_place", "open_place"]

IN_MILVUS = "or, in Milvus, milvus:URI#COLLECTION"


def milvus_place(text: str) -> tuple[str, str] | None:
    """URI and collection of `milvus:URI#COLLECTION`; None where the text is a folder.

    Raises:
        ValueError: it begins with `milvus:` and goes on otherwise.

    Example:
        >>> milvus_place("milvus:http://localhost:19530#photos")
        ('http://localhost:19530', 'photos')
    """
    if not text.startswith("milvus:"):
        return None
    match = re.fullmatch(r"milvus:(.+)#(\w+)", text)
    if not match:
        raise ValueError(
            "An index in Milvus is milvus:URI#COLLECTION, such as "
            f"milvus:http://localhost:19530#photos. Received: {text}"
        )
    return match[1], match[2]


def open_place(text: str, model_checksum: str | None = None):
    """The `StoredIndex` of a folder, or the `MilvusIndex` of a collection.

    Raises:
        ValueError: there is none, it is damaged, or another model made it.
    """
    from udsph_tf.search import MilvusIndex, open_index

    place = milvus_place(text)
    if place is None:
        return open_index(text, model_checksum=model_checksum)
    return MilvusIndex(*place, model_checksum=model_checksum)
