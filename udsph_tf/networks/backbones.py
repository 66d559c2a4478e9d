"""Any image backbone of keras.applications or KerasHub as an image body."""

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from udsph_tf.config import nearest
from udsph_tf.networks.augmentation import augmented_pixels
from udsph_tf.networks.colour_map import ColourMap, colour_map_of

__all__ = ["keras_application", "keras_hub_image"]


def keras_application(
    preset: str, size: int, weights: str | None = None, *, augment: bool = False
) -> keras.Model:
    """A network of `keras.applications` without its classifier, its preprocessing inside.

    Args:
        preset: its name there, such as `"MobileNetV2"`.
        size: height and width of the pictures.
        weights: None for random weights, `"imagenet"` for those that Keras downloads, or a
            weights file of the network without its classifier.
        augment: in training, change pictures at random.

    Returns:
        A model from `pixels` (n, size, size, 3), RGB in [0, 255], to a dict with `feature_map`, the
        last one of the network, and `pooled`, its mean.

    Raises:
        FileNotFoundError: there is no such weights file.
        ValueError: the network is unknown, or cannot read pictures of this size.
    """
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    if preset not in names:
        raise ValueError(f"Unknown `image.preset`: {preset!r}.{nearest(preset, names)}")
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise FileNotFoundError(f"There is no weights file {weights}")
    build = getattr(keras.applications, preset)
    # Networks that can scale their pixels by themselves do so by default, and their
    # `preprocess_input` then returns what it is given.
    backbone = build(include_top=False, weights=weights, input_shape=(size, size, 3))
    module = inspect.getmodule(inspect.unwrap(build))
    where, name = f"keras.applications.{preset}", f"keras_{_slug(preset)}"
    return _with_pixels(backbone, size, module.preprocess_input, where, augment, name)


def keras_hub_image(
    preset: str, size: int, *, random_weights: bool = False, augment: bool = False
) -> keras.Model:
    """An image backbone of KerasHub, its preprocessing inside.

    Args:
        preset: a preset's name or a local folder of one.
        size: height and width of the pictures.
        random_weights: leave the weights out, and load the architecture alone.
        augment: in training, change pictures at random.

    Returns:
        As `keras_application`. The tokens of a transformer become the cells of the map, without
        its class token.

    Raises:
        FileNotFoundError: `preset` looks like a folder, and there is none.
        ValueError: it is not an image backbone, or reads pictures of another size.
    """
    import keras_hub

    if preset.startswith(("/", ".", "~")) and not Path(preset).expanduser().is_dir():
        raise FileNotFoundError(f"There is no preset folder {preset}")
    backbone = keras_hub.models.Backbone.from_preset(preset, load_weights=not random_weights)
    inputs = backbone.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            f"{preset} is not an image backbone: it must read pictures alone. "
            f"Received: {type(backbone).__name__} with inputs {[each.name for each in inputs]}"
        )
    wanted = inputs[0].shape[1]
    if wanted not in (None, size):
        raise ValueError(
            f"{preset} reads pictures of {wanted}x{wanted}: set image.size={wanted}. "
            f"Received: image.size={size}"
        )
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise ValueError(
            f"{preset} does not say how its pixels are scaled (it has no image converter), and any "
            f"guess might be wrong. Save the converter beside it: converter.save_to_preset(...). "
            f"KerasHub said: {error}"
        ) from error
    converter.image_size = (size, size)
    name = f"keras_hub_{_slug(Path(preset).name)}"
    return _with_pixels(backbone, size, converter, preset, augment, name)


def _with_pixels(
    backbone: keras.Model, size: int, preprocess: Callable, where: str, augment: bool, name: str
) -> keras.Model:
    matrix, offset = colour_map_of(preprocess, size, where)
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    colours = ColourMap(name="colours")
    x = colours(augmented_pixels(pixels) if augment else pixels)
    colours.matrix.assign(matrix)
    colours.offset.assign(offset)
    return keras.Model(pixels, _map_and_pooled(backbone(x), where), name=name)


def _map_and_pooled(output, where: str) -> dict:
    shape = getattr(output, "shape", None)
    if shape is not None and len(shape) == 4:
        feature_map = output
    elif shape is not None and len(shape) == 3 and _side(shape[1]):
        side = _side(shape[1])
        cells = output[:, shape[1] - side**2 :] if shape[1] > side**2 else output
        feature_map = layers.Reshape((side, side, shape[2]), name="feature_map")(cells)
    else:
        raise ValueError(
            f"{where} has no feature map: its output must be (n, height, width, channels) or "
            f"(n, tokens, channels). Received: {shape if shape is not None else type(output)}"
        )
    pooled = layers.GlobalAveragePooling2D(name="pooled")(feature_map)
    return {"feature_map": feature_map, "pooled": pooled}


def _side(tokens: int | None) -> int:
    """Cells a side of a square grid that is followed by no other tokens; 0 where there is none.

    At most five tokens stand before it: class, distillation, registers.
    """
    for before in range(6):
        side = math.isqrt(max(0, (tokens or 0) - before))
        if side > 1 and side**2 + before == tokens:
            return side
    return 0


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()
