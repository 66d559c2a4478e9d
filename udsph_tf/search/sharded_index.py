"""Several Hamming indexes as one."""

from collections.abc import Sequence

import numpy as np

from udsph_tf.codes import check_num_bits
from udsph_tf.search.index import HammingIndex, checked_k, checked_mask, checked_packed

__all__ = ["ShardedIndex"]


class ShardedIndex:
    """Shards searched one after another; positions count through them in their order.

    Args:
        num_bits: code length of every shard.
        shards: the indexes, possibly none.

    Raises:
        ValueError: a shard has codes of another length.

    Example:
        >>> from udsph_tf.search import FaissIndex
        >>> first, second = FaissIndex(8), FaissIndex(8)
        >>> first.add(np.array([[0b0111]], dtype=np.uint8))
        >>> second.add(np.array([[0b0001]], dtype=np.uint8))
        >>> index = ShardedIndex(8, [first, second])
        >>> [each.tolist() for each in index.search(np.array([[0]], dtype=np.uint8), k=2)]
        [[[1, 3]], [[1, 0]]]
    """

    def __init__(self, num_bits: int, shards: Sequence[HammingIndex]):
        self.num_bits = check_num_bits(num_bits)
        self._shards = list(shards)
        for shard in self._shards:
            if shard.num_bits != num_bits:
                raise ValueError(
                    f"Every shard must have codes of {num_bits} bits. Received: {shard.num_bits}"
                )

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def is_exact(self) -> bool:
        """Whether every shard is exact."""
        return all(shard.is_exact() for shard in self._shards)

    def search(
        self, packed_queries: np.ndarray, k: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `HammingIndex.search`."""
        if len(self._shards) == 1:
            return self._shards[0].search(packed_queries, k, among)
        queries, k = checked_packed("packed_queries", packed_queries, self.num_bits), checked_k(k)
        size = len(self)
        among, start = checked_mask(among, size), 0
        all_keys = [np.empty((len(queries), 0), np.int64)]
        for shard in self._shards:
            mask = None if among is None else among[start : start + len(shard)]
            distances, positions = shard.search(queries, k, mask)
            # One integer a neighbour, which orders by distance and then by position.
            all_keys.append(distances.astype(np.int64) * size + positions + start)
            start += len(shard)
        keys = np.sort(np.concatenate(all_keys, axis=1), axis=1)[:, :k]
        distances, positions = np.divmod(keys, max(size, 1))
        return distances.astype(np.int32), positions

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """The packed codes at `positions`, (n, num_bits / 8) uint8."""
        positions = np.asarray(positions, dtype=np.int64)
        found = np.empty((len(positions), self.num_bits // 8), np.uint8)
        start = 0
        for shard in self._shards:
            here = (positions >= start) & (positions < start + len(shard))
            if here.any():
                found[here] = shard.codes(positions[here] - start)
            start += len(shard)
        return found

    def first_bits(self, num_bits: int) -> "ShardedIndex":
        """The first bits of every code; exact, and in memory.

        Raises:
            ValueError: `num_bits` does not fit.
        """
        return ShardedIndex(num_bits, [shard.first_bits(num_bits) for shard in self._shards])
