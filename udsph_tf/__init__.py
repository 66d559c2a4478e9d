"""Deep cross-modal hashing for Keras 3: images and text in one Hamming space.

Importing this module imports nothing else: `udsph_tf.UDSPH` and its peers are fetched when they
are first used.
"""

import importlib

from udsph_tf.version import __version__

_HOMES = {
    "Config": "udsph_tf.config",
    "ImageEncoder": "udsph_tf.serving",
    "Pairs": "udsph_tf.data",
    "RunFolder": "udsph_tf.training",
    "TextEncoder": "udsph_tf.serving",
    "UDSPH": "udsph_tf.training",
    "config_for": "udsph_tf.training",
    "evaluate": "udsph_tf.training",
    "fit": "udsph_tf.training",
    "index_pairs": "udsph_tf.serving",
    "load_config": "udsph_tf.config",
    "open_index": "udsph_tf.search",
    "read_pairs": "udsph_tf.data",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return __all__
