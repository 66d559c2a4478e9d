"""Exact Hamming search in one process, by FAISS, with a fixed order among equal distances."""

import functools
import os
from pathlib import Path

import faiss
import numpy as np

from udsph_tf.codes import check_num_bits, first_bits
from udsph_tf.search.index import checked_k, checked_mask, checked_packed

__all__ = ["FaissIndex", "keeps_smallest_positions", "read_faiss", "write_faiss"]

# Where fewer than this share of the codes is searched, copying them out is cheaper than asking
# FAISS about every position.
_SPARSE = 0.05


class FaissIndex:
    """Exact nearest packed codes, by a full scan with `faiss.IndexBinaryFlat`.

    Neighbours at equal distance come in the order of their positions, and where only some of the
    codes at the last distance fit into `k`, those with the smallest positions are taken. So equal
    input gives equal output on any machine.

    FAISS's heap gives exactly that: it is ordered by distance and then by position, and codes are
    offered to it by rising position. FAISS does not promise it, so the first search of a process
    tries it on codes full of ties (`keeps_smallest_positions`); were it to fail, searches would ask
    for more neighbours until the last distance is passed.

    Args:
        num_bits: code length, a positive multiple of 8.

    Raises:
        ValueError: `num_bits` is not a positive multiple of 8.

    Example:
        >>> index = FaissIndex(num_bits=8)
        >>> index.add(np.array([[0b1111], [0b0001], [0b0010]], dtype=np.uint8))
        >>> distances, positions = index.search(np.array([[0]], dtype=np.uint8), k=2)
        >>> distances.tolist(), positions.tolist()
        ([[1, 1]], [[1, 2]])
    """

    def __init__(self, num_bits: int):
        self._index = faiss.IndexBinaryFlat(check_num_bits(num_bits))

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""
        return self._index.d

    def __len__(self) -> int:
        return self._index.ntotal

    def is_exact(self) -> bool:
        """True: every code is compared with every query."""
        return True

    def add(self, packed: np.ndarray) -> None:
        """Append codes; the first gets position `len(self)`.

        Args:
            packed: (n, num_bits / 8) uint8.

        Raises:
            ValueError: `packed` does not fit the index.
        """
        self._index.add(checked_packed("packed", packed, self.num_bits))

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """The packed codes at `positions`, (n, num_bits / 8) uint8."""
        return self._all_codes()[np.asarray(positions, dtype=np.int64)]

    def first_bits(self, num_bits: int) -> "FaissIndex":
        """An index, in memory, of the first bits of every code.

        Raises:
            ValueError: `num_bits` does not fit.
        """
        index = FaissIndex(num_bits)
        index.add(first_bits(self._all_codes(), num_bits))
        return index

    def search(
        self, packed_queries: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest codes of every query, nearest first, equal distances by position.

        Args:
            packed_queries: (n, num_bits / 8) uint8.
            k: number of neighbours, at least 1; cut to the number of codes searched.
            among: (len(self),) bool, the positions to search; all by default.

        Returns:
            distances: (n, k) int32, values in [0, num_bits], rising along a row.
            positions: (n, k) int64, values in [0, len(self)).

        Raises:
            ValueError: `packed_queries` or `among` does not fit the index, or `k` is not a positive
                integer.
        """
        queries = checked_packed("packed_queries", packed_queries, self.num_bits)
        k, size = checked_k(k), len(self)
        among = checked_mask(among, size)
        searched = size if among is None else int(among.sum())
        k = min(k, searched)
        if k == 0 or len(queries) == 0:
            return np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.int64)
        if among is None:
            return _ordered_search(self._index, queries, k, searched)
        if searched < _SPARSE * size:
            places = np.flatnonzero(among)
            few = FaissIndex(self.num_bits)
            few.add(self._all_codes()[places])
            distances, positions = _ordered_search(few._index, queries, k, searched)
            return distances, places[positions]
        bitmap = np.packbits(among, bitorder="little")
        selected = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bitmap))
        return _ordered_search(self._index, queries, k, searched, params=selected)

    def write(self, path: str | os.PathLike) -> None:
        """Write the codes to a file in FAISS's own format.

        Raises:
            OSError: the file cannot be written.
        """
        write_faiss(self._index, path)

    @classmethod
    def read(cls, path: str | os.PathLike, *, mapped: bool = False) -> "FaissIndex":
        """Read what `write` has written.

        FAISS trusts the file it reads: check that it is the one you wrote (`open_index` compares
        its sha256) before you read it.

        Args:
            path: the file.
            mapped: map it into memory: opening takes no time, pages are read when a search comes
                by, and processes share them. The file must not be changed in place meanwhile.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a flat binary FAISS index.
        """
        index = read_faiss(path, mapped=mapped)
        if type(index) is not faiss.IndexBinaryFlat:
            raise ValueError(
                f"{os.fspath(path)} must hold a faiss.IndexBinaryFlat. "
                f"Received: {type(index).__name__}"
            )
        loaded = cls(index.d)
        loaded._index = index
        return loaded

    def _all_codes(self) -> np.ndarray:
        """(len(self), num_bits / 8) uint8: FAISS's own memory, or the mapped file, not a copy."""
        num_bytes, size = self.num_bits // 8, len(self)
        if not size:
            return np.empty((0, num_bytes), np.uint8)
        memory = faiss.rev_swig_ptr(self._index.xb.data(), size * num_bytes)
        return memory.reshape(size, num_bytes)


def read_faiss(path: str | os.PathLike, *, mapped: bool = False) -> faiss.IndexBinary:
    """Read a binary index in FAISS's own format.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a whole FAISS index.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no index file at {os.fspath(path)}")
    try:
        return faiss.read_index_binary(os.fspath(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    except RuntimeError as error:
        raise ValueError(f"{os.fspath(path)} is not a whole FAISS index: {error}") from error


def write_faiss(index: faiss.IndexBinary, path: str | os.PathLike) -> None:
    """Write a binary index in FAISS's own format.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        faiss.write_index_binary(index, os.fspath(path))
    except RuntimeError as error:
        raise OSError(f"cannot write the index to {os.fspath(path)}: {error}") from error


@functools.cache
def keeps_smallest_positions() -> bool:
    """Does this FAISS order ties by position, and keep the smallest positions at the last distance?

    Codes of 3 bits in use, repeated in a mixed order, are searched for every `k` of a few.
    """
    mixed = np.random.default_rng(0)
    for num_bytes, size in ((1, 300), (8, 5000), (16, 3000), (32, 700)):
        codes = mixed.choice(np.array([0, 1, 3, 7], np.uint8), (size, num_bytes))
        codes[:, 1:] = 0
        index = faiss.IndexBinaryFlat(8 * num_bytes)
        index.add(codes)
        distances = np.bitwise_count(codes[:3, None, 0] ^ codes[None, :, 0]).astype(np.int64)
        ranked = np.argsort(distances, axis=1, kind="stable")
        for k in (1, 10, 64, 250):
            if not np.array_equal(index.search(codes[:3], k)[1], ranked[:, :k]):
                return False
    return True


def _ordered_search(
    index: faiss.IndexBinaryFlat, queries: np.ndarray, k: int, searched: int, **options
) -> tuple[np.ndarray, np.ndarray]:
    if keeps_smallest_positions():
        return index.search(queries, k, **options)
    size = index.ntotal
    fetched = min(4 * k + 40, searched)
    while True:
        distances, positions = index.search(queries, fetched, **options)
        # One integer a neighbour, which orders by distance and then by position.
        keys = np.sort(distances.astype(np.int64) * size + positions, axis=1)
        open_ties = keys[:, -1] // size == keys[:, k - 1] // size
        if fetched == searched or not open_ties.any():
            distances, positions = np.divmod(keys[:, :k], size)
            return distances.astype(np.int32), positions
        fetched = min(4 * fetched, searched)
