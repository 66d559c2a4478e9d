"""Small pictures of items, drawn anew and kept in memory."""

import io
import logging
import threading
from collections import OrderedDict

from udsph_tf.data.images import ImageError, read_image
from udsph_tf.search.picture import decode_upright, fit_picture
from udsph_tf.serving.web.engine import RequestError

__all__ = ["SIZES", "Thumbnails"]

_LOG = logging.getLogger(__name__)

SIZES = (160, 320, 640)
"""Pixels of the longer side that a picture may be asked for in."""


class Thumbnails:
    """JPEGs of items' pictures, the last used in memory.

    What is sent was decoded and drawn anew, so a file that is not a picture is never sent, whatever
    the index says of where pictures are.

    Args:
        most_bytes: of memory.
    """

    def __init__(self, most_bytes: int):
        self._most, self._held = most_bytes, 0
        self._kept: OrderedDict[tuple, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, source: str, size: int) -> bytes:
        """The JPEG of a picture that fits `size` x `size`.

        Raises:
            RequestError: it cannot be read (404).
        """
        key = (source, size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            picture = decode_upright(read_image(source), size)
        except (ImageError, ImportError, ValueError, OSError) as error:
            # The reason may hold a path, which stays in the log.
            _LOG.warning("No picture at %s: %s", source, error)
            raise RequestError("no_picture", "The item's picture cannot be read", 404) from error
        drawn = io.BytesIO()
        fit_picture(picture, size, size).save(drawn, "JPEG", quality=85)
        content = drawn.getvalue()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = content
                self._held += len(content)
            while self._held > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._held -= len(oldest)
        return content
