"""Asymmetric re-ranking: a query's real-valued hash against the bits of the database."""

import numpy as np

from udsph_tf.codes import unpack

__all__ = ["asymmetric_distance"]


def asymmetric_distance(query_hash: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """d(h, b) = (K - <h, b>) / 2 of one query and every code.

    Where h is +1 and -1 alone, d is the Hamming distance. A bit that the query is unsure of
    (h near 0) counts half, whatever the code says, and so no longer decides.

    Args:
        query_hash: (num_bits,) relaxed hash of the query, in [-1, 1].
        packed: (n, num_bits / 8) uint8.

    Returns:
        (n,) float32, values in [0, num_bits].

    Raises:
        ValueError: the lengths differ.

    Source: asymmetric distances of Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for
    binary embeddings", TPAMI 36(1), 2014.

    Example:
        >>> h = [1, -1, 0.5, 1, 1, 1, 1, 1]
        >>> asymmetric_distance(h, np.array([[0b10111111], [0b11111111]], np.uint8)).tolist()
        [0.25, 1.25]
    """
    query_hash = np.asarray(query_hash, dtype=np.float32)
    codes = unpack(packed)
    if query_hash.shape != codes.shape[1:]:
        raise ValueError(
            f"`query_hash` must have one value for each of {codes.shape[1]} bits. "
            f"Received: shape={query_hash.shape}"
        )
    return (codes.shape[1] - codes.astype(np.float32) @ query_hash) / 2
