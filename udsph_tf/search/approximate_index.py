"""Approximate Hamming search for millions of codes: FAISS's IVF, HNSW and multi-index hashing."""

import os

import faiss
import numpy as np

from udsph_tf.search.faiss_index import FaissIndex, read_faiss, write_faiss
from udsph_tf.search.index import checked_k, checked_mask, checked_packed

__all__ = ["KINDS", "ApproximateIndex", "check_kind"]

KINDS = ("exact", "ivf", "hnsw", "multihash")
"""What an index may be built as. `exact` compares every code; the others look at some."""

_SEED = 1234
# Below this share of positions that may be returned, a scan of those positions is exact and no
# slower than a search that would have to pass over most of what it finds.
_DENSE = 0.5
_EXTRA = 64


class ApproximateIndex:
    """A FAISS structure that finds candidates, over codes that are all there for an exact scan.

    Where a search among some positions lets fewer than half of them through, or the structure
    finds fewer than `k`, the scan answers instead, so there are always `k` neighbours.

    Args:
        exact: the codes.
        structure: a trained FAISS binary index with the same codes in the same order.

    Example:
        >>> codes = FaissIndex(64)
        >>> codes.add(np.random.default_rng(0).integers(0, 256, (500, 8), dtype=np.uint8))
        >>> index = ApproximateIndex.build("hnsw", codes)
        >>> index.is_exact(), index.search(codes.codes([7]), k=1)[1].tolist()
        (False, [[7]])
    """

    def __init__(self, exact: FaissIndex, structure: faiss.IndexBinary):
        self._exact, self._structure = exact, structure

    @classmethod
    def build(cls, kind: str, codes: FaissIndex) -> "ApproximateIndex":
        """Build a structure of `kind` over codes.

        `ivf`: 4 sqrt(n) lists, 1 in 32 of them visited. `hnsw`: a graph of 32 links a code.
        `multihash`: the code cut into hash keys of about log2(n) bits each; buckets within 1 bit of
        the query's are visited.

        Raises:
            ValueError: `kind` is unknown or exact.
        """
        check_kind(kind)
        if kind == "exact":
            raise ValueError("`kind` must be approximate here; `FaissIndex` is the exact one")
        size, num_bits = len(codes), codes.num_bits
        packed = codes.codes(np.arange(size))
        if kind == "ivf":
            lists = max(1, min(int(4 * np.sqrt(size)), size // 39 or 1))
            quantizer = faiss.IndexBinaryFlat(num_bits)
            structure = faiss.IndexBinaryIVF(quantizer, num_bits, lists)
            structure.cp.seed = _SEED
            structure.nprobe = max(1, lists // 32)
            structure.train(packed[_sample(size, 64 * lists)])
        elif kind == "hnsw":
            structure = faiss.IndexBinaryHNSW(num_bits, 32)
            structure.hnsw.efSearch = 128
        else:
            key = max(4, min(int(np.log2(max(size, 2))), num_bits // 2, 24))
            structure = faiss.IndexBinaryMultiHash(num_bits, max(1, num_bits // key), key)
            structure.nflip = 1
        structure.add(packed)
        return cls(codes, structure)

    @property
    def num_bits(self) -> int:
        """Code length, a positive multiple of 8."""
        return self._exact.num_bits

    @property
    def structure(self) -> faiss.IndexBinary:
        """The FAISS index, whose `nprobe`, `hnsw.efSearch` or `nflip` trades recall for speed."""
        return self._structure

    def __len__(self) -> int:
        return len(self._exact)

    def is_exact(self) -> bool:
        """False: a nearer code may be missed."""
        return False

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """The packed codes at `positions`, (n, num_bits / 8) uint8."""
        return self._exact.codes(positions)

    def first_bits(self, num_bits: int) -> FaissIndex:
        """An exact index, in memory, of the first bits of every code."""
        return self._exact.first_bits(num_bits)

    def search(
        self, packed_queries: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `HammingIndex.search`, but a nearer code may be missed."""
        queries, k = checked_packed("packed_queries", packed_queries, self.num_bits), checked_k(k)
        size = len(self)
        among = checked_mask(among, size)
        allowed = size if among is None else int(among.sum())
        k = min(k, allowed)
        if k == 0 or not len(queries) or allowed < _DENSE * size:
            return self._exact.search(queries, max(k, 1), among)
        fetched = k if among is None else min(size, 2 * k + _EXTRA)
        distances, positions = self._structure.search(queries, fetched)
        found = positions >= 0
        if among is not None:
            found &= among[np.where(found, positions, 0)]
        # One integer a neighbour, which orders by distance and then by position.
        last = np.iinfo(np.int64).max
        keys = np.where(found, distances.astype(np.int64) * size + positions, last)
        keys = np.sort(keys, axis=1)[:, :k]
        distances, positions = np.divmod(keys, size)
        distances = distances.astype(np.int32)
        short = np.flatnonzero(keys[:, -1] == last)
        if len(short):
            distances[short], positions[short] = self._exact.search(queries[short], k, among)
        return distances, positions

    def write(self, path: str | os.PathLike) -> None:
        """Write the structure to a file in FAISS's own format.

        Raises:
            OSError: the file cannot be written.
        """
        write_faiss(self._structure, path)

    @classmethod
    def read(cls, path: str | os.PathLike, exact: FaissIndex) -> "ApproximateIndex":
        """Read what `write` has written; `exact` has the codes.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a whole FAISS index of these codes.
        """
        structure = read_faiss(path)
        if (structure.d, structure.ntotal) != (exact.num_bits, len(exact)):
            raise ValueError(
                f"{os.fspath(path)} holds {structure.ntotal} codes of {structure.d} bits, "
                f"expected {len(exact)} of {exact.num_bits}"
            )
        return cls(exact, structure)


def check_kind(kind: str) -> str:
    """Return `kind` if it is one of `KINDS`.

    Raises:
        ValueError: it is not.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    return kind


def _sample(size: int, wanted: int) -> np.ndarray:
    if size <= wanted:
        return np.arange(size)
    return np.sort(np.random.default_rng(_SEED).choice(size, wanted, replace=False))
