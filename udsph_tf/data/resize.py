"""The resize of an image encoder's TFLite files, in NumPy alone: to copy, and to port from.

The file `resize.py` of an export is this one. Its pixels are those of training to the last bit,
because every sum and product is a float32 taken in the same order.
"""

import functools

import numpy as np

__all__ = ["resize", "triangle"]


def resize(picture: np.ndarray, size: int) -> np.ndarray:
    """Pixels as an image encoder reads them.

    A triangle filter with half-pixel centres that is as wide as the reduction where a side
    shrinks ("antialiased"). Rows first, then columns; the aspect ratio is not kept.

    Args:
        picture: (height, width, 3) uint8, RGB, as decoded: not turned by its EXIF orientation.
        size: height and width wanted, `image.size` of `manifest.json`.

    Returns:
        (size, size, 3) uint8.

    Example:
        >>> resize(np.array([[[0, 8, 255]], [[101, 8, 255]]], np.uint8), 1).tolist()
        [[[50, 8, 255]]]
    """
    height, width, _ = picture.shape
    image = picture.astype(np.float32).reshape(height, 3 * width)
    inputs, weights = triangle(height, size)
    image = sum(weights[:, k, None] * image[inputs[:, k]] for k in range(inputs.shape[1]))
    inputs, weights = triangle(width, size)
    # Red, green and blue of a pixel lie side by side.
    inputs = (3 * inputs[:, None] + [[0], [1], [2]]).reshape(3 * size, -1)
    weights = weights.repeat(3, axis=0)
    image = sum(weights[:, k] * image.take(inputs[:, k], axis=1) for k in range(inputs.shape[1]))
    # rint rounds a half to the even number.
    return np.clip(np.rint(image), 0, 255).astype(np.uint8).reshape(size, size, 3)


@functools.lru_cache(maxsize=64)
def triangle(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which inputs each output reads along one side, and how much each weighs.

    Args:
        length: number of inputs.
        size: number of outputs.

    Returns:
        (size, k) positions and (size, k) float32 weights. The weights of an output sum to 1;
        where it reads fewer than k inputs, some weigh 0.
    """
    one, half = np.float32(1), np.float32(0.5)
    scale = one / (np.float32(size) / np.float32(length))
    reach = max(scale, one)
    centres = (np.arange(size, dtype=np.float32) + half) * scale
    first = np.maximum(np.ceil(centres - reach - half), 0).astype(int)
    inputs = first[:, None] + np.arange(2 * int(np.ceil(reach)) + 1)
    away = np.abs(inputs.astype(np.float32) + half - centres[:, None])
    found = np.maximum(0, one - away * (one / reach)) * (inputs < length)
    total = sum(found[:, k] for k in range(found.shape[1]))
    used = found.any(axis=0)
    return np.minimum(inputs, length - 1)[:, used], (found * (one / total)[:, None])[:, used]
