"""Word pieces: a vocabulary from the training texts, and one tokenizer for every runtime.

`tensorflow_text.FastBertTokenizer` with lower case and accents stripped runs with equal results in
tf.data, in a SavedModel and in a TFLite file. Token id 0 pads.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.bert_tokenizer import BasicTokenizer
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

from udsph_tf.files import write_text

__all__ = [
    "PAD",
    "UNKNOWN",
    "Tokenizer",
    "as_bytes",
    "build_vocabulary",
    "read_vocabulary",
    "share_of_new_words",
    "whole_word_vocabulary",
    "write_vocabulary",
]

PAD, UNKNOWN = "[PAD]", "[UNK]"
_COUNTED_AT_ONCE = 10_000

# The tokenizer reads each of these ideographs alone; blanks stand between other words.
_IDEOGRAPHS = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f"
)
_WORD = re.compile(f"[{_IDEOGRAPHS}]|[^\\s{_IDEOGRAPHS}]+")


def build_vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """A word-piece vocabulary of at most about `size` pieces, `[PAD]` first and `[UNK]` second.

    Args:
        texts: training texts.
        size: the wanted number of pieces; every character of the texts is kept besides.

    Raises:
        ValueError: the texts hold no word.

    Source: tensorflow-text's `bert_vocab_from_dataset` (the top-down algorithm of BERT).
    """
    texts = [as_bytes(text) for text in texts]
    if not any(re.search(r"\w", text.decode()) for text in texts):
        raise ValueError("The training texts hold no word to build a vocabulary of")
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(1000).prefetch(2)
    return bert_vocab_from_dataset.bert_vocab_from_dataset(
        dataset,
        vocab_size=size,
        reserved_tokens=[PAD, UNKNOWN],
        bert_tokenizer_params={"lower_case": True},
        # The tool's own least count of 10 leaves small collections with hardly more than letters.
        learn_params={"lower_thresh": 2},
    )


def whole_word_vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """A vocabulary of whole words, for words whose spelling says nothing, such as `tag0017`.

    Every other word is `[UNK]`: parts of such a word would liken it to strangers.

    Args:
        texts: training texts.
        size: most pieces, `[PAD]` and `[UNK]` included; rarer words are left out beyond it.

    Raises:
        ValueError: the texts hold no word.

    Example:
        >>> whole_word_vocabulary(["tag7 tag9", "tag9"], 100)
        ['[PAD]', '[UNK]', 'tag9', 'tag7']
    """
    counts = _count_words(texts)
    if not any(re.search(r"\w", word) for word in counts):
        raise ValueError("The training texts hold no word to build a vocabulary of")
    return [PAD, UNKNOWN, *sorted(counts, key=lambda word: (-counts[word], word))][:size]


def share_of_new_words(texts: Sequence[str]) -> float:
    """About which share of the words of further such texts will be in none of these.

    The number of words that occur once over the number of all occurrences, in [0, 1]; 0 without
    any. Estimated, and then found in query and validation texts (seed 0): .037, and .035 .035
    (10,000 names of `fashion`); .345, and .288 .314 (1,520 emoji).

    Source: Good, "The population frequencies of species and the estimation of population
    parameters", Biometrika 40, 1953, equation 9 (the estimate of Good and Turing).

    Example:
        >>> share_of_new_words(["red boat", "red kite", "red red"])
        0.3333333333333333
    """
    counts = [count for word, count in _count_words(texts).items() if re.search(r"\w", word)]
    return counts.count(1) / max(1, sum(counts))


def _count_words(texts: Sequence[str]) -> Counter[str]:
    # The tokenizer's own first step, so that both mean the same by a word.
    split, counts = BasicTokenizer(lower_case=True), Counter()
    for start in range(0, len(texts), _COUNTED_AT_ONCE):
        some = [as_bytes(text) for text in texts[start : start + _COUNTED_AT_ONCE]]
        words = split.tokenize(some).flat_values.numpy().tolist()
        counts.update(word.decode() for word in words)
    return counts


def write_vocabulary(path: str | Path, vocabulary: Sequence[str]) -> None:
    """Write one piece a line."""
    write_text(path, "\n".join(vocabulary) + "\n")


def read_vocabulary(path: str | Path) -> list[str]:
    """Read one piece a line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8, has a piece twice, or lacks `[PAD]` in its first line or
            `[UNK]` anywhere.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a vocabulary in UTF-8: {error}") from error
    vocabulary = lines[:-1] if lines[-1] == "" else lines
    if not vocabulary or vocabulary[0] != PAD or UNKNOWN not in vocabulary:
        raise ValueError(f"{path} is not a vocabulary: {PAD} must come first, {UNKNOWN} somewhere")
    line_of: dict[str, int] = {}
    for line, piece in enumerate(vocabulary, start=1):
        first = line_of.setdefault(piece, line)
        if first != line:
            raise ValueError(f"{path}: the piece {piece!r} is in line {first} and in line {line}")
    return vocabulary


class Tokenizer(tf.Module):
    """Texts to token ids, as a `tf.Module`, so that exports hold it.

    Args:
        vocabulary: pieces; the id of a piece is its position.
        max_tokens: ids a text gets; longer texts are cut, shorter ones padded with 0.
        first, last: pieces put before and after every text (`[CLS]`, `[SEP]` for BERT), or None.
        lower_case: put texts in lower case and strip accents, as the vocabulary expects.

    Raises:
        ValueError: the vocabulary lacks a piece, or `max_tokens` has no room beside `first` and
            `last`.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        max_tokens: int,
        first: str | None = None,
        last: str | None = None,
        lower_case: bool = True,
    ):
        super().__init__(name="tokenizer")
        vocabulary = list(vocabulary)
        edges = [piece for piece in (first, last) if piece is not None]
        for piece in (UNKNOWN, *edges):
            if piece not in vocabulary:
                raise ValueError(f"`vocabulary` must hold the piece {piece!r}, and does not")
        if max_tokens <= len(edges):
            raise ValueError(
                f"`max_tokens` must be at least {len(edges) + 1}: one token and {len(edges)} "
                f"around it. Received: max_tokens={max_tokens}"
            )
        self.vocabulary = tuple(vocabulary)
        self.max_tokens = max_tokens
        self.lower_case = lower_case
        self._first = None if first is None else vocabulary.index(first)
        self._last = None if last is None else vocabulary.index(last)
        self._unknown = vocabulary.index(UNKNOWN)
        self._bert = tf_text.FastBertTokenizer(
            vocab=vocabulary,
            token_out_type=tf.int32,
            unknown_token=UNKNOWN,
            lower_case_nfd_strip_accents=lower_case,
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def ids(self, texts: tf.Tensor) -> tf.Tensor:
        """(n,) strings to (n, max_tokens) int32."""
        # `to_tensor` cuts and pads. Slicing the ragged tensor would need an operation that the
        # TFLite runtime does not have.
        length = self.max_tokens - (self._first is not None) - (self._last is not None)
        ids = self._bert.tokenize(texts).to_tensor(default_value=0, shape=[None, length])
        if self._last is not None:
            end = tf.reduce_sum(tf.cast(ids > 0, tf.int32), axis=1)
            ids = tf.pad(ids, [[0, 0], [0, 1]])
            ids += self._last * tf.one_hot(end, length + 1, dtype=tf.int32)
        if self._first is not None:
            ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=self._first)
        return ids

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, max_tokens) int32 of Python strings; half characters count as question marks."""
        batches = [
            self.ids(tf.constant([as_bytes(each) for each in texts[start : start + 4096]])).numpy()
            for start in range(0, len(texts), 4096)
        ]
        return np.concatenate(batches) if batches else np.zeros((0, self.max_tokens), np.int32)

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """(n,) booleans: does a text have at least one piece of the vocabulary?"""
        ids = self.encode(texts)
        special = [0, self._unknown]
        special += [each for each in (self._first, self._last) if each is not None]
        return ~np.isin(ids, special).all(axis=1)

    def whole_words(self, text: str) -> list[tuple[str, list[int]]]:
        """The words of a text as a reader sees them, each with the positions of its token ids.

        What stands between blanks is one word with its punctuation, such as "T-shirt", and a
        Chinese character is one by itself. Words that `max_tokens` cuts off are missing; `first`
        and `last` are not words.

        Example:
            >>> pieces = ["[PAD]", "[UNK]", "run", "##ning", "-", "a"]
            >>> Tokenizer(pieces, 8).whole_words("a Running- x")
            [('a', [0]), ('Running-', [1, 2, 3]), ('x', [4])]
        """
        found = _WORD.findall(as_bytes(text).decode())
        if not found:
            return []
        lengths = self._bert.tokenize(tf.constant([word.encode() for word in found])).row_lengths()
        start = int(self._first is not None)
        end = self.max_tokens - int(self._last is not None)
        words = []
        for word, length in zip(found, lengths.numpy().tolist(), strict=True):
            positions = list(range(start, min(start + length, end)))
            start += length
            if positions:
                words.append((word, positions))
        return words


def as_bytes(text: str) -> bytes:
    """A text in UTF-8; half characters become question marks."""
    # Half of a surrogate pair, as in a command line that is not UTF-8, has no UTF-8 bytes.
    return text.encode("utf-8", "replace")
