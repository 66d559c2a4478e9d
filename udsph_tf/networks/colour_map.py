"""How a pretrained network wants its colours: found by asking its own preprocessing."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

__all__ = ["ColourMap", "colour_map_of"]

# Full colours one by one, black, white, and a few in between to see that the map is linear.
_PROBES = np.array(
    [
        [0, 0, 0],
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
        [128, 64, 32],
        [7, 200, 99],
    ],
    dtype="float32",
)


@keras.saving.register_keras_serializable(package="udsph_tf")
class ColourMap(keras.layers.Layer):
    """colour @ matrix + offset for every pixel, with fixed weights.

    Any preprocessing that scales, shifts or reorders channels is such a map, and an export carries
    it along as weights.

    Input (n, height, width, 3), output the same in float.
    """

    def build(self, input_shape):
        fixed = {"trainable": False}
        eye = keras.initializers.Identity()
        self.matrix = self.add_weight(shape=(3, 3), initializer=eye, name="matrix", **fixed)
        self.offset = self.add_weight(shape=(3,), initializer="zeros", name="offset", **fixed)

    def call(self, pixels):
        return ops.matmul(ops.cast(pixels, self.matrix.dtype), self.matrix) + self.offset

    def compute_output_spec(self, pixels):
        return keras.KerasTensor(pixels.shape, self.compute_dtype)


def colour_map_of(preprocess: Callable, size: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (3, 3) and the offset (3,) of a preprocessing function.

    Args:
        preprocess: from pictures (n, size, size, 3) float32 in [0, 255] to what the network reads.
        size: height and width of a picture.
        where: its name, for the error.

    Raises:
        ValueError: it does more than map colours linearly.

    Example:
        >>> matrix, offset = colour_map_of(lambda x: x[..., ::-1] / 127.5 - 1, 8, "a network")
        >>> (255 * matrix).round(3).tolist(), offset.tolist()
        ([[0.0, 0.0, 2.0], [0.0, 2.0, 0.0], [2.0, 0.0, 0.0]], [-1.0, -1.0, -1.0])
    """
    pictures = np.broadcast_to(_PROBES[:, None, None], (len(_PROBES), size, size, 3)).copy()
    # A copy of each: some of Keras' functions change what they are given.
    mapped = np.asarray(preprocess(pictures.copy()), dtype="float32")
    if mapped.shape != pictures.shape:
        raise ValueError(
            f"The preprocessing of {where} must keep the shape of a picture. "
            f"Received: {pictures.shape[1:]} becomes {mapped.shape[1:]}"
        )
    colours = mapped[:, size // 2, size // 2]
    offset = colours[0]
    matrix = (colours[1:4] - offset) / 255
    spread = np.abs(mapped - colours[:, None, None]).max()
    wrong = np.abs(_PROBES @ matrix + offset - colours).max()
    scale = max(1.0, np.abs(colours).max())
    if not np.isfinite(wrong) or max(wrong, spread) > 1e-3 * scale:
        raise ValueError(
            f"The preprocessing of {where} does more than scale, shift and reorder colours, so it "
            "cannot be carried into an exported model"
        )
    return matrix, offset
