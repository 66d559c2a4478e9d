"""What codes look like by themselves: balance and correlation of bits, items of one code."""

from typing import Any

import numpy as np

__all__ = ["bit_balance", "bit_correlation", "code_collisions"]


def bit_balance(codes: np.ndarray) -> float:
    """mean over bits k of |mean over items i of code_ik|.

    0: every bit is +1 for half of the items; 1: every bit is the same for all of them.

    Args:
        codes: (n, num_bits) codes of +1 and -1, or relaxed hashes in (-1, 1); n at least 1.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: `codes` is not such a matrix.

    Source: the balance that Weiss et al., Spectral Hashing, NIPS 2008, equation 3, ask for.

    Example:
        >>> bit_balance([[1, 1], [1, -1]])
        0.5
    """
    return float(np.abs(_checked(codes).mean(axis=0)).mean())


def bit_correlation(codes: np.ndarray) -> float:
    """mean over pairs of different bits of |their correlation over the items|.

    0: the bits are uncorrelated; 1: each is a copy or the opposite of every other. A bit that is
    the same for all items correlates with none, here; `bit_balance` shows it.

    Args:
        codes: (n, num_bits) codes of +1 and -1, or relaxed hashes in (-1, 1); n at least 1.

    Returns:
        A number in [0, 1]; 0 for a single bit.

    Raises:
        ValueError: `codes` is not such a matrix.

    Source: the uncorrelated bits that Weiss et al., Spectral Hashing, NIPS 2008, equation 3, ask
    for.

    Example:
        >>> bit_correlation([[1, -1], [-1, 1], [1, -1]])
        1.0
    """
    codes = _checked(codes)
    deviation = codes - codes.mean(axis=0)
    length = np.sqrt(np.square(deviation).sum(axis=0))
    # A constant bit deviates by rounding alone.
    varies = length > 1e-9 * np.sqrt(len(codes))
    unit = deviation / np.where(varies, length, 1.0) * varies
    correlation = np.minimum(np.abs(unit.T @ unit), 1.0)
    pairs = max(1, correlation.size - len(correlation))
    return float((correlation.sum() - np.trace(correlation)) / pairs)


def code_collisions(packed: np.ndarray) -> dict[str, Any]:
    """How many items share their code with others, which no search can tell apart.

    Args:
        packed: (n, num_bits / 8) uint8; n at least 1.

    Returns:
        distinct: number of different codes.
        shared: share of items whose code another item has too.
        largest: number of items of the most frequent code.
        chance: that two different items, drawn at random, have one code:
            sum over codes c of n_c (n_c - 1) / (n (n - 1)); 0 for a single item.

    Raises:
        ValueError: `packed` is not such a matrix.

    Example:
        >>> code_collisions(np.array([[1], [1], [1], [2]], np.uint8))
        {'distinct': 2, 'shared': 0.75, 'largest': 3, 'chance': 0.5}
    """
    packed = np.asarray(packed)
    if packed.ndim != 2 or packed.dtype != np.uint8 or not packed.size:
        raise ValueError(
            "`packed` must be packed codes, uint8 of shape (n, num_bits / 8), neither 0. "
            f"Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    whole = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
    counts = np.unique(whole, return_counts=True)[1].astype(np.int64)
    number = len(packed)
    return {
        "distinct": len(counts),
        "shared": float(counts[counts > 1].sum() / number),
        "largest": int(counts.max()),
        "chance": float((counts * (counts - 1)).sum() / max(number * (number - 1), 1)),
    }


def _checked(codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or not codes.size or not (np.abs(codes) <= 1).all():
        raise ValueError(
            "`codes` must have shape (n, num_bits), neither 0, and values in [-1, 1]. "
            f"Received: shape={codes.shape}"
        )
    return codes
