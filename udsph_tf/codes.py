"""The bit convention: relaxed hash values, codes of +1 and -1, packed bytes, Hamming distance.

Everything that turns a real number into a bit, or a bit into a byte, goes through this module.

* A relaxed value `h >= 0` becomes `+1` and anything else `-1`; zero is `+1`.
* A packed byte holds eight bits, the first bit in the most significant place
  (`numpy.packbits` with `bitorder="big"`); a bit is 1 where the code is `+1`.
"""

import numpy as np

__all__ = [
    "BIT_WEIGHTS",
    "binarize",
    "check_num_bits",
    "first_bits",
    "fuse",
    "hamming_distance",
    "pack",
    "unpack",
]

BIT_WEIGHTS = (128, 64, 32, 16, 8, 4, 2, 1)
"""Value of each of the eight bits of a packed byte, first bit first."""

_BLOCK_BYTES = 32 * 1024 * 1024


def check_num_bits(num_bits: int) -> int:
    """Return `num_bits` if it is a usable code length.

    Raises:
        ValueError: `num_bits` is not a positive multiple of 8.
    """
    is_integer = isinstance(num_bits, (int, np.integer)) and not isinstance(num_bits, bool)
    if not is_integer or num_bits <= 0 or num_bits % 8:
        raise ValueError(
            f"`num_bits` must be a positive multiple of 8. Received: num_bits={num_bits!r}"
        )
    return int(num_bits)


def binarize(hash_values: np.ndarray) -> np.ndarray:
    """Codes of relaxed hash values: `+1` where `h >= 0`, else `-1`.

    Args:
        hash_values: (n, num_bits) real numbers, relaxed hashes or their logits.

    Returns:
        (n, num_bits) int8.

    Raises:
        ValueError: a value is NaN.

    Example:
        >>> binarize([[0.3, -0.2, 0.0]]).tolist()
        [[1, -1, 1]]
    """
    hash_values = np.asarray(hash_values)
    if np.isnan(hash_values).any():
        raise ValueError("`hash_values` must be numbers. Received: an array that contains NaN")
    return np.where(hash_values >= 0, 1, -1).astype(np.int8)


def fuse(image_hash: np.ndarray, text_hash: np.ndarray) -> np.ndarray:
    """One code for items that have a picture and words: `binarize((h_v + h_t) / 2)`.

    A bit that one modality is sure of (|h| near 1) outvotes the other's doubt.

    Args:
        image_hash: (n, num_bits) relaxed hashes in [-1, 1].
        text_hash: (n, num_bits) relaxed hashes of the same items.

    Returns:
        (n, num_bits) int8.

    Raises:
        ValueError: the shapes differ, or a value is NaN.

    Example:
        >>> fuse([[0.9, -0.2]], [[-0.3, -0.1]]).tolist()
        [[1, -1]]
    """
    image_hash, text_hash = np.asarray(image_hash), np.asarray(text_hash)
    if image_hash.shape != text_hash.shape:
        raise ValueError(
            "`image_hash` and `text_hash` must have one shape. "
            f"Received: {image_hash.shape} and {text_hash.shape}"
        )
    return binarize(image_hash + text_hash)


def first_bits(packed: np.ndarray, num_bits: int) -> np.ndarray:
    """The first bits of every code: what a nested code is cut to.

    Args:
        packed: (n, K / 8) uint8.
        num_bits: bits to keep, a positive multiple of 8, at most K.

    Returns:
        (n, num_bits / 8) uint8.

    Raises:
        ValueError: `num_bits` does not fit.

    Example:
        >>> first_bits(np.array([[129, 7]], dtype=np.uint8), 8).tolist()
        [[129]]
    """
    packed = _checked_packed("packed", packed)
    if check_num_bits(num_bits) > 8 * packed.shape[1]:
        raise ValueError(
            f"`num_bits` must be at most the {8 * packed.shape[1]} bits of the codes. "
            f"Received: num_bits={num_bits}"
        )
    return np.ascontiguousarray(packed[:, : num_bits // 8])


def pack(codes: np.ndarray) -> np.ndarray:
    """Pack codes of +1 and -1 into bytes, first bit in the most significant place.

    Args:
        codes: (n, num_bits) of +1 and -1; `num_bits` a multiple of 8.

    Returns:
        (n, num_bits / 8) uint8.

    Raises:
        ValueError: the shape or a value does not fit.

    Example:
        >>> pack([[1, -1, -1, -1, -1, -1, -1, 1]]).tolist()
        [[129]]
    """
    codes = np.asarray(codes)
    if codes.ndim != 2:
        raise ValueError(f"`codes` must have shape (n, num_bits). Received: shape={codes.shape}")
    check_num_bits(codes.shape[1])
    if not np.isin(codes, (-1, 1)).all():
        raise ValueError("`codes` must hold only +1 and -1; use `binarize` on relaxed hashes")
    return np.packbits(codes > 0, axis=1, bitorder="big")


def unpack(packed: np.ndarray) -> np.ndarray:
    """Codes of +1 and -1 from packed bytes; the inverse of `pack`.

    Args:
        packed: (n, num_bits / 8) uint8.

    Returns:
        (n, num_bits) int8.

    Raises:
        ValueError: `packed` is not a matrix of uint8.

    Example:
        >>> unpack(np.array([[129]], dtype=np.uint8)).tolist()
        [[1, -1, -1, -1, -1, -1, -1, 1]]
    """
    packed = _checked_packed("packed", packed)
    bits = np.unpackbits(packed, axis=1, bitorder="big").astype(np.int8)
    return bits * np.int8(2) - np.int8(1)


def hamming_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Number of differing bits between every row of `a` and every row of `b`.

    Args:
        a: (n, num_bits / 8) uint8, packed codes.
        b: (m, num_bits / 8) uint8, packed codes.

    Returns:
        (n, m) int16, values in [0, num_bits].

    Raises:
        ValueError: an argument is not packed codes, or the lengths differ.

    Example:
        >>> a = np.array([[0b11110000]], dtype=np.uint8)
        >>> b = np.array([[0b11111111], [0b11110001]], dtype=np.uint8)
        >>> hamming_distance(a, b).tolist()
        [[4, 1]]
    """
    a, b = _checked_packed("a", a), _checked_packed("b", b)
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            "`a` and `b` must have codes of one length. "
            f"Received: {8 * a.shape[1]} and {8 * b.shape[1]} bits"
        )
    a, b = _as_wide_words(a), _as_wide_words(b)
    distances = np.zeros((len(a), len(b)), dtype=np.int16)
    rows = max(1, _BLOCK_BYTES // max(1, b.itemsize * len(b)))
    for start in range(0, len(a), rows):
        block = distances[start : start + rows]
        for word in range(a.shape[1]):
            block += np.bitwise_count(a[start : start + rows, word, None] ^ b[None, :, word])
    return distances


def _checked_packed(name: str, packed: np.ndarray) -> np.ndarray:
    packed = np.asarray(packed)
    if packed.ndim != 2 or packed.dtype != np.uint8:
        raise ValueError(
            f"`{name}` must be packed codes, uint8 of shape (n, num_bits / 8). "
            f"Received: dtype={packed.dtype}, shape={packed.shape}"
        )
    return packed


def _as_wide_words(packed: np.ndarray) -> np.ndarray:
    """View the bytes as the widest unsigned integers that fit: fewer passes, same distances."""
    for width, dtype in ((8, np.uint64), (4, np.uint32), (2, np.uint16)):
        if packed.shape[1] % width == 0:
            return np.ascontiguousarray(packed).view(dtype)
    return packed
