"""What the search service accepts, at most."""

import dataclasses
from dataclasses import dataclass

from udsph_tf.data.images import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from udsph_tf.litert import num_cores

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What the search service accepts, at most; beyond it a request gets a 4xx.

    Args:
        upload_bytes: of a picture.
        pixels: of a picture, width times height.
        text_length: characters of a text.
        k: neighbours of an answer.
        candidates: that are re-ranked.
        filter_values: values of all filters of a request.
        requests: searches and pictures in flight at once, those that wait included.
        body_seconds: for a request's body to arrive.
        workers: searches that run at once.
        thumbnail_bytes: of memory for small pictures.

    Raises:
        ValueError: one is not positive, or more than the package can take.

    Example:
        >>> Limits(k=50).k
        50
    """

    upload_bytes: int = 10 * 1024 * 1024
    pixels: int = 25_000_000
    text_length: int = 1000
    k: int = 200
    candidates: int = 1000
    filter_values: int = 50
    requests: int = 128
    body_seconds: float = 20.0
    workers: int = dataclasses.field(default_factory=num_cores)
    thumbnail_bytes: int = 64 * 1024 * 1024

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                raise ValueError(f"`{field.name}` must be positive. Received: {value!r}")
        for name, most in (("upload_bytes", MAX_IMAGE_BYTES), ("pixels", MAX_IMAGE_PIXELS)):
            if getattr(self, name) > most:
                raise ValueError(
                    f"`{name}` must be at most {most:,}. Received: {getattr(self, name):,}"
                )

    @property
    def json_bytes(self) -> int:
        """Bytes of a JSON request: every character of its text as an escaped pair, and the rest."""
        return 12 * self.text_length + 64 * 1024
