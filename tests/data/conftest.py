"""Encoded pictures and small collections that several tests of this room read."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from udsph_tf.data.pairs import Pairs, multi_hot

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def photo():
    """A smooth colour picture, 30 wide and 20 high."""
    y, x = np.mgrid[:20, :30]
    return Image.fromarray(np.stack([8 * x, 12 * y, 255 - 4 * (x + y)], -1).astype(np.uint8))


@pytest.fixture(scope="session")
def encode():
    """Function from a picture to the bytes of a file."""

    def encode(image, kind, **options):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def png_header():
    """Function that makes a PNG of some hundred bytes which claims any size."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    def make(width, height):
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100)))
        return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")

    return make


@pytest.fixture(scope="session")
def made_pairs():
    """Function that makes n pairs with ids item0, item1, ..., and two labels."""

    def make(n, **changes):
        labels, names = multi_hot([["even" if item % 2 == 0 else "odd"] for item in range(n)])
        content = {
            "name": "made",
            "ids": [f"item{item}" for item in range(n)],
            "images": [f"/pictures/{item}.jpg" for item in range(n)],
            "texts": [f"text {item}" for item in range(n)],
            "labels": labels,
            "label_names": names,
        }
        return Pairs(**{**content, **changes})

    return make


@pytest.fixture(scope="session")
def real_data():
    """Function from a data set's name to its folder; skips the test where it is absent."""

    def find(name):
        root = os.environ.get("UDSPH_DATA") or REPOSITORY.parent / "shared" / "data"
        folder = Path(root) / name
        if not folder.is_dir():
            pytest.skip(f"the real data is not there: {folder} (set UDSPH_DATA)")
        return folder

    return find
