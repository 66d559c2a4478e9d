"""What the `udsph` commands do: a module each, its flags beside the calls of the library."""

from udsph_tf.commands import (
    attend,
    datasets,
    encode,
    evaluate,
    export,
    fit,
    index,
    monitor,
    prune,
    search,
    serve,
    verify,
)

__all__ = ["COMMANDS"]

COMMANDS = (
    fit,
    evaluate,
    attend,
    export,
    verify,
    encode,
    index,
    prune,
    search,
    serve,
    monitor,
    datasets,
)
