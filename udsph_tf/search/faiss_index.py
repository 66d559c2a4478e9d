"""Exact Hamming search in one process, by FAISS, with a fixed order among equal distances."""

import os
from pathlib import Path

import faiss
import numpy as np

from udsph_tf.codes import check_num_bits

__all__ = ["FaissIndex"]

# How many neighbours more than `k` the first pass asks for, so that the last distance within `k`
# is nearly always passed and all ties at it are in hand. Among random 64-bit codes the items up
# to the k-th distance number up to 9 for k = 1 and up to 5 k for k = 10; `3 k + 40` covers both
# and costs a twentieth of the scan at k = 10. The limit keeps the heap of a large `k` from costing
# more than the second look it would save.
_EXTRA_PER_NEIGHBOUR = 3
_EXTRA_FIXED = 40
_EXTRA_LIMIT = 1000

# Rows and queries of one block of the second look. Even if every code of the block is a tie, the
# answer of 64 x 32,768 neighbours takes only 25 MB.
_BLOCK_ROWS = 32_768
_BLOCK_QUERIES = 64


class FaissIndex:
    """Exact nearest packed codes, by a full scan with `faiss.IndexBinaryFlat`.

    FAISS promises the right distances but not which of several codes at one distance it returns,
    nor their order. Here neighbours at equal distance come in the order of their positions, and
    where only some of the codes at the last distance fit into `k`, those with the smallest
    positions are taken. So equal input gives equal output on any machine and FAISS version.

    The price is a somewhat larger `k` inside FAISS, and a second look at those queries whose
    last distance is shared by very many codes. That look stops as soon as it has found enough.

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
        self._index.add(self._checked("packed", packed))

    def search(self, packed_queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest codes of every query, nearest first, equal distances by position.

        Args:
            packed_queries: (n, num_bits / 8) uint8.
            k: number of neighbours, at least 1; cut to the size of the index.

        Returns:
            distances: (n, k) int32, values in [0, num_bits], rising along a row.
            positions: (n, k) int64, values in [0, len(self)).

        Raises:
            ValueError: `packed_queries` does not fit the index, or `k` is not a positive integer.
        """
        queries = self._checked("packed_queries", packed_queries)
        is_integer = isinstance(k, (int, np.integer)) and not isinstance(k, bool)
        if not is_integer or k <= 0:
            raise ValueError(f"`k` must be a positive integer. Received: k={k!r}")
        size = len(self)
        k = min(int(k), size)
        if k == 0 or len(queries) == 0:
            return np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.int64)

        extra = min(_EXTRA_PER_NEIGHBOUR * k + _EXTRA_FIXED, _EXTRA_LIMIT)
        fetched = min(k + extra, size)
        found_distances, found_positions = self._index.search(queries, fetched)
        # One integer a neighbour, which orders by distance and then by position.
        keys = found_distances.astype(np.int64) * size + found_positions
        keys.sort(axis=1)
        distances, positions = np.divmod(keys[:, :k], size)
        if fetched < size:
            last = keys[:, -1] // size
            open_ties = np.flatnonzero(last == distances[:, -1])
            for start in range(0, len(open_ties), _BLOCK_QUERIES):
                rows = open_ties[start : start + _BLOCK_QUERIES]
                self._settle_last_distance(queries[rows], distances[rows], positions, rows)
        return distances.astype(np.int32), positions

    def write(self, path: str | os.PathLike) -> None:
        """Write the codes to a file in FAISS's own format.

        Raises:
            OSError: the file cannot be written.
        """
        try:
            faiss.write_index_binary(self._index, os.fspath(path))
        except RuntimeError as error:
            raise OSError(f"cannot write the index to {os.fspath(path)}: {error}") from error

    @classmethod
    def read(cls, path: str | os.PathLike) -> "FaissIndex":
        """Read what `write` has written.

        FAISS trusts the file it reads: check that it is the one you wrote (`open_index` compares
        its sha256) before you read it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a flat binary FAISS index.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no index file at {os.fspath(path)}")
        try:
            index = faiss.read_index_binary(os.fspath(path))
        except RuntimeError as error:
            raise ValueError(f"{os.fspath(path)} is not a whole FAISS index: {error}") from error
        if type(index) is not faiss.IndexBinaryFlat:
            raise ValueError(
                f"{os.fspath(path)} must hold a faiss.IndexBinaryFlat. "
                f"Received: {type(index).__name__}"
            )
        loaded = cls(index.d)
        loaded._index = index
        return loaded

    def _checked(self, name: str, packed: np.ndarray) -> np.ndarray:
        packed = np.asarray(packed)
        num_bytes = self.num_bits // 8
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != num_bytes:
            raise ValueError(
                f"`{name}` must be packed codes, uint8 of shape (n, {num_bytes}) for "
                f"{self.num_bits} bits. Received: dtype={packed.dtype}, shape={packed.shape}"
            )
        return np.ascontiguousarray(packed)

    def _settle_last_distance(
        self, queries: np.ndarray, distances: np.ndarray, positions: np.ndarray, rows: np.ndarray
    ) -> None:
        """Write into `positions[rows]` the smallest positions at each query's last distance.

        Everything nearer than the last distance is complete already, for it lies before the
        k-th neighbour. What is missing is scanned for from position 0 on: many codes share the
        distance, or the query would not be here, so the first few of them are soon found.
        """
        k = distances.shape[1]
        last = distances[:, -1]
        filled = (distances < last[:, None]).sum(axis=1)
        pending = np.arange(len(rows))
        for start in range(0, len(self), _BLOCK_ROWS):
            if len(pending) == 0:
                break
            count = min(_BLOCK_ROWS, len(self) - start)
            block = faiss.IndexBinaryFlat(self.num_bits)
            block.add(self._index.reconstruct_n(start, count))
            for distance in np.unique(last[pending]):
                group = pending[last[pending] == distance]
                # FAISS returns what is nearer than the radius.
                limits, near, found = block.range_search(queries[group], int(distance) + 1)
                for place, query in enumerate(group):
                    part = slice(limits[place], limits[place + 1])
                    ties = np.sort(found[part][near[part] == distance])[: k - filled[query]]
                    end = filled[query] + len(ties)
                    positions[rows[query], filled[query] : end] = ties + start
                    filled[query] = end
            pending = pending[filled[pending] < k]
