"""A small convolutional image body, trained from scratch."""

import keras
from keras import layers

from udsph_tf.networks.augmentation import augmented

__all__ = ["small_cnn"]

_WIDTHS = (32, 64, 128, 192)


def small_cnn(
    input_shape: tuple[int, int, int], *, augment: bool = True, name: str = "small_cnn"
) -> keras.Model:
    """A functional model from pixels to a feature map and a pooled vector.

    Four blocks of two convolutions with batch normalization; each halves the picture.

    Args:
        input_shape: (height, width, 3), multiples of 16.
        augment: in training, flip, shift, turn and zoom pictures at random.
        name: the model's name.

    Returns:
        A model from `pixels` (n, height, width, 3) in [0, 255] to a dict with `feature_map`
        (n, height / 16, width / 16, 192) and `pooled` (n, 384): its mean and its maximum.
    """
    pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels)
    if augment:
        x = augmented(x)
    # Momentum 0.9: a small collection has few steps for the moving statistics to settle in.
    for index, width in enumerate(_WIDTHS):
        for step in (1, 2):
            stride = 2 if step == 1 else 1
            stem = f"block{index + 1}_{step}"
            x = layers.Conv2D(
                width, 3, strides=stride, padding="same", use_bias=False, name=f"{stem}_conv"
            )(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{stem}_norm")(x)
            x = layers.ReLU(name=f"{stem}_relu")(x)
    pooled = layers.Concatenate(name="pooled")(
        [
            layers.GlobalAveragePooling2D(name="mean")(x),
            layers.GlobalMaxPooling2D(name="maximum")(x),
        ]
    )
    return keras.Model(pixels, {"feature_map": x, "pooled": pooled}, name=name)
