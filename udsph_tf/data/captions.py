"""Items with several sentences: which of them are an item's text."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from udsph_tf.data.pairs import Pairs

__all__ = ["join_captions", "one_row_a_caption"]

_SEPARATOR = "\n"


def join_captions(captions: Sequence[str], which: str) -> str:
    """The text of an item with several sentences.

    Args:
        captions: its sentences, at least one, without line breaks.
        which: `"all"` joins them, `"first"` takes the first; `"each"` keeps them apart, one a
            line, for `one_row_a_caption`.

    Example:
        >>> join_captions(["a dog runs", "a brown dog"], "all")
        'a dog runs a brown dog'
    """
    if which == "first":
        return captions[0]
    return (_SEPARATOR if which == "each" else " ").join(captions)


def one_row_a_caption(pairs: Pairs) -> tuple[Pairs, np.ndarray]:
    """A row for each sentence in the place of one for each item.

    The first row of an item keeps its id; the others have `<id>#1`, `<id>#2`, ... A split must be
    made before, so that all rows of an item have its role.

    Args:
        pairs: n items whose texts hold a sentence a line.

    Returns:
        The m rows, and (m,) the item of each.

    Example:
        >>> labels = np.zeros((1, 0))
        >>> pairs = Pairs("made", ["7"], ["7.jpg"], ["a dog\\na brown dog"], labels, ())
        >>> rows, items = one_row_a_caption(pairs)
        >>> rows.ids.tolist(), rows.texts.tolist(), items.tolist()
        (['7', '7#1'], ['a dog', 'a brown dog'], [0, 0])
    """
    sentences = [text.split(_SEPARATOR) for text in pairs.texts]
    items = np.repeat(np.arange(len(pairs)), [len(each) for each in sentences])
    ids = [
        f"{item}#{number}" if number else item
        for item, each in zip(pairs.ids, sentences, strict=True)
        for number in range(len(each))
    ]
    texts = [text for each in sentences for text in each]
    rows = {
        "images": pairs.images[items],
        "labels": pairs.labels[items],
        "roles": None if pairs.roles is None else pairs.roles[items],
    }
    return replace(pairs, ids=ids, texts=texts, **rows), items
