"""Word vectors out of files: word2vec's text and binary formats, GloVe's text, gensim's `.kv`."""

import gzip
import itertools
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from udsph_tf.data.keyed_vectors import read_keyed_vectors

__all__ = ["check_word_vectors", "plain_word", "read_word_vectors"]

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_LONGEST_WORD = 2000
_MOST_DIMENSIONS = 10_000


def read_word_vectors(
    path: str | Path, words: set[str], num_more: int = 0
) -> tuple[dict[str, np.ndarray], int]:
    """Vectors of the words that are asked for, and of the first others.

    A word of the file is compared as the tokenizer writes words: lower case without accents. Where
    several become one, the one that is written so comes first, then the first in the file (which
    is the most frequent one).

    Args:
        path: a text file with a word and its numbers a line (GloVe), one whose first line says how
            many (word2vec), or word2vec's binary format, each also compressed by gzip; or what
            `KeyedVectors.save` of gensim 4 writes (see `udsph_tf.data.keyed_vectors`).
        words: what to look for.
        num_more: other words to take besides, from the beginning of the file.

    Returns:
        By word, (dim,) float32, the words that were asked for and the others in the file's order;
        and the number of dimensions.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another format, cut off, or not all numbers are finite.
    """
    path = Path(path)
    check_word_vectors(path)
    found: dict[str, np.ndarray] = {}
    exact: set[str] = set()
    more = dim = 0
    for word, vector in _entries(path):
        if dim and len(vector) != dim:
            raise ValueError(
                f"{path}: the vector of {word!r} has {len(vector)} numbers, others {dim}"
            )
        dim = len(vector)
        plain = plain_word(word)
        wanted = plain in words
        if plain in found:
            if plain == word and plain not in exact:
                found[plain] = vector
                exact.add(plain)
            continue
        # A word with punctuation is several tokens, so it would never be met.
        if not wanted and (more == num_more or not plain.isalnum()):
            continue
        more += not wanted
        found[plain] = vector
        if plain == word:
            exact.add(plain)
    if not dim:
        raise ValueError(f"{path} holds no word vector")
    for word, vector in found.items():
        if not np.isfinite(vector).all():
            raise ValueError(f"{path}: the vector of {word!r} holds a number that is not finite")
    return found, dim


def check_word_vectors(path: str | Path) -> None:
    """See to it that a file of word vectors is there, and of a kind that is read.

    Raises:
        FileNotFoundError, ValueError: as for `read_word_vectors`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of word vectors {path}")
    if _is_pickle(path):
        read_keyed_vectors(path)
        return
    try:
        with _open(path) as file:
            if file.read(4) == _ZIP:
                raise ValueError(f"{path} is a zip archive. Unpack it, and give the file inside")
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def plain_word(word: str) -> str:
    """A word as the tokenizer writes it: lower case, without accents.

    Example:
        >>> plain_word("Café")
        'cafe'
    """
    parts = unicodedata.normalize("NFD", word.lower())
    return "".join(each for each in parts if unicodedata.category(each) != "Mn")


def _entries(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    if _is_pickle(path):
        yield from zip(*read_keyed_vectors(path), strict=True)
        return
    try:
        with _open(path) as file:
            header = _header(file)
            if header is None:
                file.seek(0)
                yield from _text(path, file, None)
            elif _is_binary(file, header[1]):
                yield from _binary(path, file, *header)
            else:
                yield from _text(path, file, header)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _open(path: Path) -> BinaryIO:
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if compressed else open(path, "rb")


def _is_pickle(path: Path) -> bool:
    # Protocol 2 and later begin with this byte; no text in UTF-8 does.
    with open(path, "rb") as file:
        return file.read(1) == b"\x80" or path.suffix in (".kv", ".model", ".pkl", ".pickle")


def _header(file: BinaryIO) -> tuple[int, int] | None:
    """word2vec's first line, number of words and of dimensions; None where it is a word's."""
    parts = file.readline(_LONGEST_WORD).split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        count, dim = int(parts[0]), int(parts[1])
        if 1 < dim <= _MOST_DIMENSIONS:
            return count, dim
    return None


def _is_binary(file: BinaryIO, dim: int) -> bool:
    """Is what follows the header no line of a word and its numbers?"""
    here = file.tell()
    line = file.readline(dim * 40 + _LONGEST_WORD)
    file.seek(here)
    try:
        parts = line.decode().split()
        return len(parts) < dim or not all(_is_number(each) for each in parts[-dim:])
    except UnicodeDecodeError:
        return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _binary(path: Path, file: BinaryIO, count: int, dim: int) -> Iterator[tuple[str, np.ndarray]]:
    size = struct.calcsize(f"<{dim}f")
    for number in range(count):
        word = bytearray()
        while (each := file.read(1)) != b" ":
            if not each or len(word) > _LONGEST_WORD:
                raise ValueError(
                    f"{path} is cut off or not in word2vec's binary format: word {number + 1:,} of "
                    f"{count:,} does not end"
                )
            if each != b"\n":  # some writers end a vector with one
                word += each
        numbers = file.read(size)
        if len(numbers) < size:
            raise ValueError(f"{path} is cut off in word {number + 1:,} of {count:,}")
        yield word.decode("utf-8", "replace"), np.frombuffer(numbers, "<f4").astype(np.float32)


def _text(
    path: Path, file: BinaryIO, header: tuple[int, int] | None
) -> Iterator[tuple[str, np.ndarray]]:
    count, dim = header or (None, 0)
    read = 0
    for number in itertools.count(2 if header else 1):
        line = file.readline()
        if not line.strip():
            if line:
                continue
            break
        parts = line.decode("utf-8", "replace").rstrip().split(" ")
        dim = dim or len(parts) - 1
        try:
            # Some words of GloVe have blanks in them; the numbers are the last ones.
            vector = np.array(parts[-dim:], dtype=np.float32)
        except ValueError:
            vector = np.zeros(0, np.float32)
        if not 1 < dim <= _MOST_DIMENSIONS or len(parts) <= dim or len(vector) != dim:
            if read and not line.endswith(b"\n"):
                raise ValueError(f"{path} is cut off in line {number}")
            raise ValueError(
                f"{path}, line {number}: there must be a word and "
                f"{f'{dim} ' if dim > 1 else ''}numbers, as in the text formats of word2vec and "
                f"GloVe. Received: {line[:60]!r}"
            )
        read += 1
        yield " ".join(parts[:-dim]), vector
    if count is not None and read < count:
        raise ValueError(f"{path} is cut off: {read:,} of {count:,} words are there")
