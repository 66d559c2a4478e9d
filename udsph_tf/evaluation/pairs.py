"""All (query, database item) pairs, walked in blocks of bounded size.

Every measure of this package needs the same two numbers of a pair: the Hamming distance of the
codes and the number of labels the two items share. `RetrievalPairs` checks the inputs once and
hands out both numbers, a few whole query rows at a time, so that nothing of size
queries x database is ever held.
"""

from collections.abc import Iterator

import numpy as np

from udsph_tf.codes import hamming_distance

__all__ = ["RetrievalPairs"]

# Pairs in one block: 3 bytes each where no two items share more than 255 labels.
_BLOCK_PAIRS = 1 << 21
# Pairs in one tile of a block; its temporaries, at most 8 bytes a pair, stay in the cache.
_TILE_PAIRS = 1 << 17


class RetrievalPairs:
    """Queries against a database: codes, labels, and the walk over all pairs.

    Two items are relevant to each other where they share at least one label,
    `query_labels @ database_labels.T > 0`.

    Args:
        query_packed: (num_queries, num_bits / 8) uint8, packed codes.
        query_labels: (num_queries, num_labels) of 0 and 1, any numeric or boolean type.
        database_packed: (num_database, num_bits / 8) uint8, packed codes.
        database_labels: (num_database, num_labels) of 0 and 1.

    Attributes:
        num_queries: rows of `query_packed`.
        num_database: rows of `database_packed`.
        num_bits: code length.
        max_shared: an upper bound of the number of labels that two items share.

    Raises:
        ValueError: a side is empty, codes are not packed uint8, labels are not multi-hot, or
            lengths do not match.

    Example:
        >>> query = np.array([[0b00000000]], dtype=np.uint8)
        >>> database = np.array([[0b00000001], [0b00000111]], dtype=np.uint8)
        >>> pairs = RetrievalPairs(query, [[1, 1]], database, [[1, 1], [0, 1]])
        >>> for rows, distances, shared in pairs.blocks():
        ...     print(distances.tolist(), shared.tolist())
        [[1, 3]] [[2, 1]]
    """

    def __init__(
        self,
        query_packed: np.ndarray,
        query_labels: np.ndarray,
        database_packed: np.ndarray,
        database_labels: np.ndarray,
    ):
        self.query_packed = _checked_codes("query_packed", query_packed)
        self.database_packed = _checked_codes("database_packed", database_packed)
        if self.query_packed.shape[1] != self.database_packed.shape[1]:
            raise ValueError(
                "`query_packed` and `database_packed` must have codes of one length. Received: "
                f"{8 * self.query_packed.shape[1]} and {8 * self.database_packed.shape[1]} bits"
            )
        self.num_queries = len(self.query_packed)
        self.num_database = len(self.database_packed)
        self.num_bits = 8 * self.query_packed.shape[1]

        query_labels = _checked_labels("query_labels", query_labels, self.num_queries)
        database_labels = _checked_labels("database_labels", database_labels, self.num_database)
        if query_labels.shape[1] != database_labels.shape[1]:
            raise ValueError(
                "`query_labels` and `database_labels` must have the same columns. Received: "
                f"{query_labels.shape[1]} and {database_labels.shape[1]} columns"
            )
        self.max_shared = int(
            min(query_labels.sum(axis=1).max(), database_labels.sum(axis=1).max())
        )
        self._query_words = _as_words(query_labels)
        self._database_words = _as_words(database_labels)

    def blocks(self, graded: bool = True) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Walk over all pairs, whole query rows at a time.

        A block has about two million pairs, or one query row where the database is larger.

        Args:
            graded: give the number of shared labels; False gives only 1 where there is one.

        Yields:
            `rows`, the slice of queries; `distances`, (len(rows), num_database) int16 in
            [0, num_bits]; `shared`, the same shape, unsigned integers in [0, max_shared].
        """
        block_rows = max(1, _BLOCK_PAIRS // self.num_database)
        shared_type = np.min_scalar_type(self.max_shared if graded else 1)
        for start in range(0, self.num_queries, block_rows):
            rows = slice(start, min(start + block_rows, self.num_queries))
            shape = (rows.stop - rows.start, self.num_database)
            distances = np.empty(shape, dtype=np.int16)
            shared = np.zeros(shape, dtype=shared_type)
            tile_columns = max(1, _TILE_PAIRS // shape[0])
            for left in range(0, self.num_database, tile_columns):
                columns = slice(left, left + tile_columns)
                distances[:, columns] = hamming_distance(
                    self.query_packed[rows], self.database_packed[columns]
                )
                self._count_shared(rows, columns, graded, shared[:, columns])
            yield rows, distances, shared

    def _count_shared(self, rows: slice, columns: slice, graded: bool, shared: np.ndarray) -> None:
        # Bits in common, not a matrix product: as fast, exact, and no BLAS threads, which made
        # this six times slower where other processes use the cores.
        for word in range(self._query_words.shape[1]):
            common = self._query_words[rows, word, None] & self._database_words[None, columns, word]
            if graded:
                shared += np.bitwise_count(common)
            else:
                shared |= common != 0


def _checked_codes(name: str, packed: np.ndarray) -> np.ndarray:
    packed = np.asarray(packed)
    if packed.ndim != 2 or packed.dtype != np.uint8:
        raise ValueError(
            f"`{name}` must be packed codes, uint8 of shape (n, num_bits / 8). "
            f"Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    if packed.size == 0:
        raise ValueError(f"`{name}` must hold at least one code. Received: shape={packed.shape}")
    return packed


def _checked_labels(name: str, labels: np.ndarray, num_items: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2 or len(labels) != num_items or labels.shape[1] == 0:
        raise ValueError(
            f"`{name}` must have shape (n, num_labels), one row for each of the {num_items} codes "
            f"and at least one column. Received: shape={labels.shape}"
        )
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError(f"`{name}` must be multi-hot, only 0 and 1. Received: other values")
    return labels.astype(bool)


def _as_words(labels: np.ndarray) -> np.ndarray:
    """Label sets as bits of the fewest and widest unsigned integers, one row an item."""
    num_bytes = -(-labels.shape[1] // 8)
    width = next((width for width in (1, 2, 4) if num_bytes <= width), 8)
    padded = np.zeros((len(labels), -(-num_bytes // width) * width), dtype=np.uint8)
    padded[:, :num_bytes] = np.packbits(labels, axis=1)
    return padded.view(f"u{width}")
