"""The exported encoders behind TensorFlow Serving, over gRPC or REST.

It needs the extra `serving`: `pip install 'udsph-tf[serving]'`.
"""

import importlib

from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.tf_serving.settings import ClientSettings

__all__ = [
    "ClientSettings",
    "ServedImageEncoder",
    "ServedModel",
    "ServedTextEncoder",
    "ServingError",
]

_OPTIONAL = {
    "ServedImageEncoder": "encoders",
    "ServedModel": "served_model",
    "ServedTextEncoder": "encoders",
}


def __getattr__(name: str):
    # gRPC and HTTP clients are optional, and the errors above are needed without them.
    if name not in _OPTIONAL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_OPTIONAL[name]}"), name)
    except ImportError as error:
        raise ImportError(
            f"A model server needs its packages ({error}): pip install 'udsph-tf[serving]'"
        ) from error


def __dir__():
    return __all__
