"""The search service: an HTTP API and a page for people, over encoders and an index.

It needs the extra `service`: `pip install 'udsph-tf[service]'`.
"""

from udsph_tf.serving.web.engine import RequestError, SearchEngine, SearchOptions
from udsph_tf.serving.web.limits import Limits

__all__ = ["Limits", "RequestError", "SearchEngine", "SearchOptions", "create_app"]


def __getattr__(name: str):
    # FastAPI is optional, and only the app needs it.
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from udsph_tf.serving.web.app import create_app
    except ImportError as error:
        raise ImportError(
            f"The search service needs its packages ({error}): pip install 'udsph-tf[service]'"
        ) from error
    return create_app


def __dir__():
    return __all__
