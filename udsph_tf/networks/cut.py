"""A body in two: a lower part that stays as it is, and an upper part that goes on learning."""

import re

import keras
from keras import layers

from udsph_tf.config import nearest

__all__ = ["block_names", "check_block", "cut", "freeze_statistics"]

_BLOCK = re.compile(r"(block\d+[a-z]?)_")


def block_names(body: keras.Model) -> tuple[str, ...]:
    """The blocks that `cut` knows, from the pixels up: `x` where layers are named `x_...`.

    Example:
        >>> from udsph_tf.networks import small_cnn
        >>> block_names(small_cnn((32, 32, 3)))
        ('block1', 'block2', 'block3', 'block4')
    """
    matches = (_BLOCK.match(layer.name) for layer in body.layers)
    return tuple(dict.fromkeys(match[1] for match in matches if match))


def check_block(body: keras.Model, block: str) -> None:
    """See to it that the body has such a block.

    Raises:
        ValueError: it has none; the message names the nearest one.
    """
    names = block_names(body)
    if not names:
        raise ValueError(
            f"{body.name} has no blocks to be cut at. Fine-tune the whole of it: set "
            f'training.finetune_from="". Received: {block!r}'
        )
    if block not in names:
        raise ValueError(f"Unknown block `{block}` of {body.name}.{nearest(block, names)}")


def cut(body: keras.Model, block: str) -> tuple[keras.Model, keras.Model]:
    """Cut a body at the input of a block.

    Both parts share the body's layers, and so its weights: body(x) = upper(lower(x)).

    Args:
        body: a functional model.
        block: the first block of the upper part, one of `block_names(body)`.

    Returns:
        `lower`, from the body's input to a dict: `lower_map`, the block's input (n, height, width,
        channels), and, by the names of their layers, other tensors that the upper part reads, such
        as pooled outputs of lower stages. And `upper`, from that dict (from the map alone, where
        there is nothing else) to the body's outputs.

    Raises:
        ValueError: the body has no such block.

    Example:
        >>> from udsph_tf.networks import small_cnn
        >>> lower, upper = cut(small_cnn((32, 32, 3)), "block3")
        >>> lower.output["lower_map"].shape, upper.output["feature_map"].shape
        ((None, 8, 8, 64), (None, 2, 2, 192))
    """
    check_block(body, block)
    first = next(layer for layer in body.layers if layer.name.startswith(f"{block}_"))
    passed = {"lower_map": first.input, **_read_above(body, first)}
    lower = keras.Model(body.input, passed, name=f"{body.name}_below_{block}")
    name = f"{body.name}_from_{block}"
    if len(passed) == 1:
        return lower, keras.Model(first.input, body.output, name=name)
    inner = keras.Model(list(passed.values()), body.output, name=f"{name}_layers")
    inputs = {
        each: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=each)
        for each, tensor in passed.items()
    }
    return lower, keras.Model(inputs, inner(list(inputs.values())), name=name)


def _read_above(body: keras.Model, first) -> dict:
    """Tensors besides `first`'s input that pass from layers below `first` to layers above it."""
    above, passed = {first}, {}
    for layer in body.layers:
        read = keras.tree.flatten(layer.input)
        sources = [tensor._keras_history.operation for tensor in read]
        if above.intersection(sources):
            above.add(layer)
            for source, tensor in zip(sources, read, strict=True):
                if source not in above and tensor is not first.input:
                    passed[source.name] = tensor
    return passed


def freeze_statistics(body: keras.Model) -> None:
    """Keep batch normalization and depthwise kernels of a body as they are.

    Batch normalization then uses its moving statistics in training too, so that a code still
    depends on one item alone, and does not drift with the few batches of fine-tuning. The
    gradient of a depthwise kernel is slow on a CPU, and so few weights matter little beside those
    of the pointwise convolutions around them (docs/results/finetune.md).
    """
    # A backbone of a library is a layer with layers of its own.
    for layer in body._flatten_layers(include_self=False):
        if isinstance(layer, (layers.BatchNormalization, layers.DepthwiseConv2D)):
            layer.trainable = False
