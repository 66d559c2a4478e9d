"""CNN-F, the small fast network of Chatfield et al.: the image body of the older literature."""

from typing import NamedTuple

import keras
from keras import layers, ops

from udsph_tf.networks.augmentation import augmented_pixels

__all__ = ["CNN_F_SIZE", "LocalResponseNorm", "SubtractMeanImage", "cnn_f"]

CNN_F_SIZE = 224
"""Height and width of its pictures: the first full layer reads a 6x6 grid, and no other."""

# Mean colour of the ImageNet training photos (RGB), until weights bring a mean image.
_MEAN_COLOUR = (123.68, 116.779, 103.939)
_FULL_WIDTH = 4096
_FULL_DROPOUT = 0.5


class _Convolution(NamedTuple):
    """One of the five convolutional layers; `padding` is on each side."""

    filters: int
    kernel_size: int
    strides: int
    padding: int
    normalize: bool
    pool: bool


_CONVOLUTIONS = (
    _Convolution(64, 11, strides=4, padding=0, normalize=True, pool=True),
    _Convolution(256, 5, strides=1, padding=2, normalize=True, pool=True),
    _Convolution(256, 3, strides=1, padding=1, normalize=False, pool=False),
    _Convolution(256, 3, strides=1, padding=1, normalize=False, pool=False),
    _Convolution(256, 3, strides=1, padding=1, normalize=False, pool=True),
)


def cnn_f(
    input_shape: tuple[int, int, int] = (CNN_F_SIZE, CNN_F_SIZE, 3),
    *,
    augment: bool = False,
    name: str = "cnn_f",
) -> keras.Model:
    """CNN-F without its classifier, with random weights (`load_cnn_f_weights` sets them).

    Five convolutions with ReLU, the first two with local response normalization, and two full
    layers. A pool takes the maximum of 3x3 with stride 2; the first one's last window reaches one
    row and one column over the edge, as in the published model. Layers are named `block1_...` to
    `block7_...`, after conv1 to full7.

    Args:
        input_shape: (224, 224, 3); the full layers fit no other size.
        augment: in training, flip, shift, turn and zoom pictures at random.
        name: the model's name.

    Returns:
        A model from `pixels` (n, 224, 224, 3), RGB in [0, 255], to a dict: `feature_map`
        (n, 6, 6, 256), pool5, and `pooled` (n, 4096), full7 after ReLU.

    Raises:
        ValueError: another `input_shape`.

    Source: Chatfield, Simonyan, Vedaldi, Zisserman, "Return of the Devil in the Details", BMVC
    2014, table 1. The normalization's constants and the pools' edges are those of the released
    model, `imagenet-vgg-f.mat` of MatConvNet.
    """
    if tuple(input_shape) != (CNN_F_SIZE, CNN_F_SIZE, 3):
        raise ValueError(
            f"`input_shape` must be ({CNN_F_SIZE}, {CNN_F_SIZE}, 3): the full layers of CNN-F read "
            f"a 6x6 grid. Received: input_shape={tuple(input_shape)}"
        )
    # --- Layers ---
    pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
    x = augmented_pixels(pixels) if augment else pixels
    x = SubtractMeanImage(name="mean_image")(x)
    for number, each in enumerate(_CONVOLUTIONS, start=1):
        block = f"block{number}"
        if each.padding:
            x = layers.ZeroPadding2D(each.padding, name=f"{block}_padding")(x)
        x = layers.Conv2D(
            each.filters,
            each.kernel_size,
            strides=each.strides,
            activation="relu",
            name=f"{block}_conv",
        )(x)
        if each.normalize:
            x = LocalResponseNorm(name=f"{block}_lrn")(x)
        if each.pool:
            # 54 cells make 27 of the first grid only with the edge; elsewhere it changes nothing.
            # After ReLU a zero outside never is the maximum.
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{block}_edge")(x)
            x = layers.MaxPooling2D(3, strides=2, name=f"{block}_pool")(x)
    feature_map = x
    for number, kernel_size in ((6, x.shape[1]), (7, 1)):
        block = f"block{number}"
        x = layers.Conv2D(_FULL_WIDTH, kernel_size, activation="relu", name=f"{block}_conv")(x)
        x = layers.Dropout(_FULL_DROPOUT, name=f"{block}_dropout")(x)
    pooled = layers.Flatten(name="pooled")(x)
    return keras.Model(pixels, {"feature_map": feature_map, "pooled": pooled}, name=name)


@keras.saving.register_keras_serializable(package="udsph_tf")
class SubtractMeanImage(keras.layers.Layer):
    """pixels - mean, with a fixed mean image (height, width, 3) that is stored as a weight.

    Input (n, height, width, 3), output the same in float.
    """

    def build(self, input_shape):
        colour = keras.ops.convert_to_tensor(_MEAN_COLOUR)
        self.mean = self.add_weight(
            shape=tuple(input_shape[1:]),
            initializer=lambda shape, dtype: ops.broadcast_to(ops.cast(colour, dtype), shape),
            trainable=False,
            name="mean",
        )

    def call(self, pixels):
        return ops.cast(pixels, self.mean.dtype) - self.mean

    def compute_output_spec(self, pixels):
        return keras.KerasTensor(pixels.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="udsph_tf")
class LocalResponseNorm(keras.layers.Layer):
    """x_k / (bias + alpha * sum of x_j^2 over the neighbours j of channel k)^(3/4).

    Args:
        radius: channels on each side of k that count, besides k itself.
        bias: positive.
        alpha: weight of the sum of squares (of the sum, not of the mean).

    Input and output (n, height, width, channels).

    Source: Krizhevsky et al., NeurIPS 2012, section 3.3, with its exponent 3/4.

    Example:
        >>> import numpy as np
        >>> layer = LocalResponseNorm(radius=1, bias=1.0, alpha=1.0)
        >>> np.array(layer(np.array([[[[0.0, 0.0, 2.0]]]]))).round(4).tolist()  # 2 / 5^(3/4)
        [[[[0.0, 0.0, 0.5981]]]]
    """

    def __init__(self, radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, **kwargs):
        super().__init__(**kwargs)
        self.radius = radius
        self.bias = bias
        self.alpha = alpha

    def call(self, inputs):
        channels = inputs.shape[-1]
        squares = ops.pad(ops.square(inputs), ((0, 0), (0, 0), (0, 0), (self.radius, self.radius)))
        total = squares[..., :channels]
        for start in range(1, 2 * self.radius + 1):
            total = total + squares[..., start : start + channels]
        # Two reciprocal roots are faster than a power, and quantize.
        root = ops.rsqrt(self.bias + self.alpha * total)
        return inputs * root * ops.sqrt(root)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "radius": self.radius,
            "bias": self.bias,
            "alpha": self.alpha,
        }
