"""The Keras encoders of the tiny run, as what every exported form is compared with."""

import io
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image


@pytest.fixture(scope="session")
def keras_side(tiny_run):
    """`image(pixels)` and `text(texts)`: logits by Keras' `predict`; the models and tokenizer."""
    from udsph_tf.export.verification import reference_codes
    from udsph_tf.networks.encoder import hash_writer
    from udsph_tf.training.run_folder import text_tokenizer

    image, text = tiny_run.load("image_encoder"), tiny_run.load("text_encoder")
    image_logits, text_logits = hash_writer(image, "image_logits"), hash_writer(text, "text_logits")
    tokenizer = text_tokenizer(tiny_run.config(), tiny_run.vocabulary)

    def encode_texts(texts):
        ids = np.concatenate([tokenizer.ids([each]).numpy() for each in texts])
        return reference_codes(text_logits, ids)

    return SimpleNamespace(
        image=lambda pixels: reference_codes(image_logits, pixels),
        text=encode_texts,
        image_encoder=image,
        text_encoder=text,
        tokenizer=tokenizer,
    )


@pytest.fixture(scope="session")
def pictures(tiny_pairs):
    """Encoded bytes of all 84 drawn pictures."""
    from udsph_tf.data.images import read_image

    return [read_image(source) for source in tiny_pairs.images]


@pytest.fixture(scope="session")
def pixels(pictures):
    """(84, 32, 32, 3) uint8."""
    from udsph_tf.data.images import load_pixels

    return np.stack([load_pixels(each, 32) for each in pictures])


@pytest.fixture(scope="session")
def texts(tiny_pairs):
    """UTF-8 of all 84 texts."""
    return [text.encode() for text in tiny_pairs.texts]


@pytest.fixture(scope="session")
def strange_texts():
    """UTF-8 or not, texts that a form might read in its own way."""
    return [
        b"",
        b" ",
        b"\x00",
        b"a red\x00circle",
        b"a \xff\xfe red \xe2\x82 circle",
        b"\xc3",
        "a red circle 🔴👩‍👩‍👧‍👦".encode(),
        "דג אדום عيدان حمراء".encode(),
        "a Réd CÎRCLE".encode(),
        "a re\u0301d circle".encode(),
        "\ufeffa red\u200b circle".encode(),
        "连衣裙 a red circle".encode(),
        "ß ﬁ Ⅷ ǅ İ".encode(),
        b"a\tred\r\ncircle\n",
        b"[PAD] [UNK] ##red ##",
        b"r" * 300,
        b"a red circle " * 80_660,
    ]


@pytest.fixture(scope="session")
def strange_pictures():
    """Encoded pictures of unusual kinds, by name."""
    colours = np.random.default_rng(5).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    picture = Image.fromarray(colours)

    def encoded(image, form, **options):
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    rgb = picture.convert("RGB")
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    return {
        "grey JPEG": encoded(picture.convert("L"), "JPEG"),
        "grey PNG": encoded(picture.convert("L"), "PNG"),
        "grey PNG with alpha": encoded(picture.convert("LA"), "PNG"),
        "black and white PNG": encoded(picture.convert("1"), "PNG"),
        "RGBA PNG": encoded(picture, "PNG"),
        "palette PNG": encoded(picture.convert("P"), "PNG"),
        "progressive JPEG": encoded(rgb, "JPEG", progressive=True),
        "1x1 PNG": encoded(rgb.crop((0, 0, 1, 1)), "PNG"),
        "1x10,000 PNG": encoded(rgb.resize((1, 10_000)), "PNG"),
        "16-bit grey PNG": encoded(Image.fromarray(colours[..., 0].astype(np.uint16) * 257), "PNG"),
        "16-bit colour PNG": tf.io.encode_png(colours[..., :3].astype(np.uint16) * 257).numpy(),
        "CMYK JPEG": encoded(rgb.convert("CMYK"), "JPEG"),
        "JPEG turned by EXIF": encoded(rgb, "JPEG", exif=turned),
        "GIF": encoded(rgb, "GIF"),
        "animated GIF": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "BMP": encoded(rgb, "BMP"),
        "WebP": encoded(rgb, "WEBP", lossless=True),
    }


@pytest.fixture(scope="session")
def refused_pictures():
    """Encoded pictures that are refused by their header, by the reason."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]

    def encoded(image, form, **options):
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    huge = bytearray(encoded(frames[0], "PNG"))
    huge[16:24] = (100_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    return {
        "not an image in a known format": encoded(frames[0], "TIFF"),
        "too many pixels": bytes(huge),
        "a BMP with a palette": encoded(frames[0].quantize(4), "BMP"),
        "an animated WebP": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "a WebP with an alpha channel": encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 9)), "WEBP"),
    }
