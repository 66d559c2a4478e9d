"""What a batch of `fit` is made of."""

__all__ = ["first", "only", "pair"]


def only(inputs):
    """The tensor of a dict of one; dicts of several are passed on."""
    if isinstance(inputs, dict) and len(inputs) == 1:
        (inputs,) = inputs.values()
    return inputs


def pair(data):
    """Inputs and labels; Keras adds a place for sample weights, which no term here knows.

    Raises:
        ValueError: there are weights.
    """
    inputs, labels, *weights = data
    if any(each is not None for each in weights):
        raise ValueError("`sample_weight` must be None: similarity terms weigh pairs, not items")
    return inputs, labels


def first(data):
    """The inputs of a batch that may have more to it."""
    return data[0] if isinstance(data, (tuple, list)) else data
