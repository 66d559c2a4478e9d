"""What suits a body that is chosen in place of a data set's own."""

from typing import Any

__all__ = ["BODY_KEYS", "IMAGE_DEFAULTS", "TEXT_DEFAULTS", "body_defaults"]

BODY_KEYS = {"image": ("body", "pooling", "size", "trainable"), "text": ("body", "trainable")}
"""Keys of a data set's defaults that are about its own body."""

_FROZEN = {"trainable": False}

IMAGE_DEFAULTS: dict[str, dict[str, Any]] = {
    "cnn_f": {**_FROZEN, "size": 224},
    "efficientnet_lite0": {**_FROZEN, "size": 128, "pooling": "stages"},
    "keras_applications": {**_FROZEN, "size": 224},
    "keras_hub": {**_FROZEN, "size": 224},
    "small_cnn": {"size": 64},
}
TEXT_DEFAULTS: dict[str, dict[str, Any]] = {
    "doc2vec": {**_FROZEN, "embedding_dim": 128},
    "keras_hub": _FROZEN,
    "minilm": _FROZEN,
}


def body_defaults(section: str, body: str) -> dict[str, Any]:
    """Keys of `[image]` or `[text]` that suit a body, over the defaults of `Config`.

    Example:
        >>> body_defaults("image", "cnn_f")
        {'trainable': False, 'size': 224}
    """
    table = {"image": IMAGE_DEFAULTS, "text": TEXT_DEFAULTS}[section]
    return dict(table.get(body, {}))
