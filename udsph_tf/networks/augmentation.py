"""Random changes of pictures in training."""

from keras import layers

__all__ = ["augmented", "augmented_pixels"]


def augmented(x):
    """Flip, shift, turn and zoom at random in training; nothing otherwise.

    Args:
        x: (n, height, width, 3) Keras tensor in which white is 1.0.
    """
    # Shifts and turns show what lies outside the picture as white.
    edge = {"fill_mode": "constant", "fill_value": 1.0}
    x = layers.RandomFlip("horizontal", name="flip")(x)
    x = layers.RandomTranslation(0.1, 0.1, **edge, name="shift")(x)
    x = layers.RandomRotation(0.04, **edge, name="turn")(x)
    return layers.RandomZoom((-0.15, 0.15), **edge, name="zoom")(x)


def augmented_pixels(pixels):
    """`augmented` for pixels (n, height, width, 3) in [0, 255]; as float."""
    x = layers.Rescaling(1 / 255, name="to_unit")(pixels)
    return layers.Rescaling(255.0, name="to_pixels")(augmented(x))
