"""What the `udsph` commands do: a module each, its flags beside the calls of the library."""

from udsph_tf.commands import attend, datasets, evaluate, export, fit, index, search, verify

__all__ = ["COMMANDS"]

COMMANDS = (fit, evaluate, attend, export, verify, index, search, datasets)
