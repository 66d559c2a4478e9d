"""Bytes of a picture, whatever its format, as an RGB image that fits a box."""

import io
import struct

from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["decode_upright", "fit_picture"]

# Small photos are enlarged at most this much: beyond it only the blur grows.
_MAX_ENLARGEMENT = 3.0


def decode_upright(data: bytes, max_side: int) -> Image.Image:
    """Decode a picture upright, in RGB, with what is transparent shown on white.

    Args:
        data: the bytes of a file in any format that Pillow reads.
        max_side: the size in pixels the picture is wanted at. A large JPEG is decoded near that
            size, which saves most of the time.

    Returns:
        An RGB image.

    Raises:
        ValueError: `data` is not a picture, or a damaged one. The message says which.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (max_side, max_side))
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):
                # Pillow would cut 16-bit grey at 255 and show a white square.
                image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
            image = image.convert("RGBA")
    except UnidentifiedImageError as error:
        raise ValueError("not a picture in a known format") from error
    except Image.DecompressionBombError as error:
        raise ValueError("the picture has too many pixels") from error
    except (OSError, EOFError, SyntaxError, ValueError, struct.error) as error:
        raise ValueError(f"the picture is damaged: {error}") from error
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def fit_picture(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale `image` to the largest size that fits `width` x `height`, its aspect kept.

    Args:
        image: any RGB image.
        width: of the box, pixels.
        height: of the box, pixels.

    Returns:
        An RGB image, at most 3 times as large as `image` on a side.

    Example:
        >>> fit_picture(Image.new("RGB", (60, 80)), 120, 120).size
        (90, 120)
    """
    scale = min(width / image.width, height / image.height, _MAX_ENLARGEMENT)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)
