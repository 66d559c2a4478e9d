"""word2vec and doc2vec of the training texts, by gensim."""

import logging
from collections.abc import Sequence

import numpy as np

__all__ = ["NEGATIVES", "NOISE_POWER", "require_gensim", "train_doc2vec", "train_word2vec"]

_LOG = logging.getLogger(__name__)
NEGATIVES = 5
"""Noise words for each word, in training and in inference."""
NOISE_POWER = 0.75
"""Noise words are drawn by their counts to this power."""
_WINDOW = 5


def train_word2vec(
    documents: Sequence[Sequence[int]], num_words: int, *, dim: int, epochs: int, seed: int
) -> np.ndarray:
    """Skip-gram vectors with negative sampling.

    Args:
        documents: the words of each training text, as ids below `num_words`.
        num_words: number of vectors; those of ids that never occur are zero.
        dim: length of a vector.
        epochs: passes over the texts.
        seed: of the whole training, which runs in one thread so that it is reproducible.

    Returns:
        (num_words, dim) float32.

    Raises:
        ImportError: gensim is not installed.
        ValueError: the texts hold no word.

    Source: Mikolov et al., NeurIPS 2013, as gensim implements it.
    """
    models = require_gensim()
    model = models.Word2Vec(
        sentences=_as_words(documents),
        sg=1,
        window=_WINDOW,
        **_options(dim, epochs, seed),
    )
    _LOG.info("word2vec: %d words, %d texts", len(model.wv), len(documents))
    return _table(model.wv.index_to_key, model.wv.vectors, num_words)


def train_doc2vec(
    documents: Sequence[Sequence[int]], num_words: int, *, dim: int, epochs: int, seed: int
) -> dict[str, np.ndarray]:
    """PV-DBOW with negative sampling: a document's vector predicts its words.

    Args:
        documents, num_words, dim, epochs, seed: as for `train_word2vec`.

    Returns:
        `words` (num_words, dim), the words' own vectors, trained beside; `predictors`
        (num_words, dim), the output vectors o_w, with which a document d expects a word by
        sigmoid(<d, o_w>); and `noise` (num_words,), the shares of the noise words.

    Raises:
        ImportError, ValueError: as for `train_word2vec`.

    Source: Le and Mikolov, ICML 2014, section 2.3.
    """
    models = require_gensim()
    tagged = [
        models.doc2vec.TaggedDocument(words, [row])
        for row, words in enumerate(_as_words(documents))
    ]
    model = models.Doc2Vec(
        documents=tagged, dm=0, dbow_words=1, window=_WINDOW, **_options(dim, epochs, seed)
    )
    _LOG.info("doc2vec: %d words, %d texts", len(model.wv), len(documents))
    keys = model.wv.index_to_key
    counts = np.array([model.wv.get_vecattr(key, "count") for key in keys], dtype="float64")
    shares = counts**NOISE_POWER
    return {
        "words": _table(keys, model.wv.vectors, num_words),
        "predictors": _table(keys, model.syn1neg, num_words),
        "noise": _table(keys, shares / shares.sum(), num_words),
    }


def require_gensim():
    """gensim's models.

    Raises:
        ImportError: it is not installed; the message has the pip command.
    """
    try:
        from gensim import models
    except ImportError as error:
        raise ImportError(
            "The text bodies `word2vec` and `doc2vec` are trained by gensim: "
            "pip install 'udsph-tf[word2vec]'"
        ) from error
    return models


def _as_words(documents: Sequence[Sequence[int]]) -> list[list[str]]:
    words = [[str(each) for each in document] for document in documents]
    if not any(words):
        raise ValueError("The training texts hold no word that the vocabulary knows")
    return words


def _options(dim: int, epochs: int, seed: int) -> dict:
    return {
        "vector_size": dim,
        "epochs": epochs,
        "seed": seed + 1,  # gensim takes 0 for another number
        "negative": NEGATIVES,
        "ns_exponent": NOISE_POWER,
        "hs": 0,
        "min_count": 1,  # the vocabulary has left rare words out already
        "sample": 0,
        "workers": 1,
    }


def _table(keys: Sequence[str], values: np.ndarray, num_words: int) -> np.ndarray:
    table = np.zeros((num_words, *values.shape[1:]), np.float32)
    table[[int(key) for key in keys]] = values
    return table
