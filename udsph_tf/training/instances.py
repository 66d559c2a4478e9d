"""Instance recall of a run: a picture may have several sentences, a sentence one picture."""

from collections.abc import Mapping, Sequence

import numpy as np

from udsph_tf.evaluation import own_item_recall

__all__ = ["recall_both_ways"]


def recall_both_ways(
    codes: Mapping[str, np.ndarray],
    database: Mapping[str, np.ndarray],
    items: np.ndarray | None,
    database_items: np.ndarray | None,
    ks: Sequence[int] = (1, 5, 10),
) -> dict[str, dict]:
    """`own_item_recall` of image to text and of text to image.

    Args:
        codes: packed codes of the held-back rows under `image` and `text`.
        database: the same of the rows that are searched beside them.
        items: the item of each held-back row; None where each is an item of its own. A picture
            asks, and is found, once for all its sentences.
        database_items: the same of `database`.
        ks: cutoffs.

    Returns:
        Recalls by str(k), under `image_to_text` and `text_to_image`.
    """
    count = len(codes["image"])
    items = np.arange(count) if items is None else items
    once, owner = np.unique(items, return_index=True)[::-1]
    beside = slice(None)
    if database_items is not None and len(database["image"]):
        beside = np.unique(database_items, return_index=True)[1]
    pictures = codes["image"][once]
    return {
        "image_to_text": own_item_recall(
            pictures, codes["text"], database["text"], ks, query_items=owner, own_items=items
        ),
        "text_to_image": own_item_recall(
            codes["text"],
            pictures,
            database["image"][beside],
            ks,
            query_items=items,
            own_items=owner,
        ),
    }
