import io

import numpy as np
import pytest
from PIL import Image

from udsph_tf.search.picture import decode_upright, fit_picture


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_decode_upright_common_formats_become_rgb(kind):
    picture = decode_upright(encode(Image.new("RGB", (40, 30), (200, 20, 20)), kind), 100)
    assert (picture.mode, picture.size) == ("RGB", (40, 30))
    np.testing.assert_allclose(picture.getpixel((20, 15)), (200, 20, 20), atol=6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_decode_upright_png_modes_become_rgb(mode):
    assert decode_upright(encode(Image.new(mode, (4, 4))), 100).mode == "RGB"


def test_decode_upright_cmyk_jpeg_becomes_rgb():
    assert decode_upright(encode(Image.new("CMYK", (4, 4)), "JPEG"), 100).mode == "RGB"


def test_decode_upright_transparent_is_shown_on_white():
    half_red = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode_upright(encode(half_red), 100).getpixel((0, 0)) == (255, 255, 255)


def test_decode_upright_16_bit_grey_keeps_its_brightness():
    # 32768 is the middle of 16 bits, 128 the middle of 8.
    grey = Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16))
    assert decode_upright(encode(grey), 100).getpixel((0, 0)) == (128, 128, 128)


def test_decode_upright_rotated_by_exif_stands_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    assert decode_upright(data, 100).size == (20, 40)


def test_decode_upright_large_jpeg_is_decoded_near_the_wanted_size():
    data = encode(Image.new("RGB", (1600, 1200)), "JPEG")
    assert decode_upright(data, 300).size == (400, 300)


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg></svg>"])
def test_decode_upright_unknown_bytes_raise(data):
    with pytest.raises(ValueError, match="not a picture in a known format"):
        decode_upright(data, 100)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_decode_upright_truncated_file_raises(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(ValueError, match="the picture is damaged"):
        decode_upright(data[: len(data) // 2], 100)


def test_decode_upright_too_many_pixels_raises(monkeypatch):
    data = encode(Image.new("RGB", (100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="too many pixels"):
        decode_upright(data, 100)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # Wide and tall pictures touch one side of the box; a small one grows at most threefold.
        ((400, 100), (160, 40)),
        ((100, 400), (40, 160)),
        ((10, 20), (30, 60)),
        ((5000, 2), (160, 1)),
    ],
)
def test_fit_picture_keeps_the_aspect_inside_the_box(size, expected):
    assert fit_picture(Image.new("RGB", size), 160, 160).size == expected
