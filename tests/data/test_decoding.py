import numpy as np
import pytest
from PIL import Image

from udsph_tf.data import decoding
from udsph_tf.data.decoding import decode_pictures

SIZE = 8
GREY = 10


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Eleven grey pictures, the first of shade 0, the next of shade 10, and so on."""
    folder = tmp_path_factory.mktemp("pictures")
    for row in range(11):
        Image.new("RGB", (SIZE, SIZE), (GREY * row,) * 3).save(folder / f"{row}.png")
    return [str(folder / f"{row}.png") for row in range(11)]


def broken(sources, tmp_path, damaged=(), missing=()):
    """The same sources, but some are cut off behind their header and some are not there."""
    sources = list(sources)
    for row in damaged:
        with open(sources[row], "rb") as file:
            data = file.read()
        # The header is whole, and of the pixels hardly anything is there.
        sources[row] = str(tmp_path / f"damaged-{row}.png")
        with open(sources[row], "wb") as file:
            file.write(data[:45] + b"\x00" * 20)
    for row in missing:
        sources[row] = str(tmp_path / f"missing-{row}.png")
    return sources


def shades(batches):
    return [pixels[:, 0, 0, 0].tolist() for pixels, _ in batches]


def test_decode_pictures_yields_every_row_in_order_in_batches(sources):
    batches = list(decode_pictures(sources, SIZE, 4))
    assert shades(batches) == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90, 100]]
    assert [failed for _, failed in batches] == [{}, {}, {}]
    assert batches[2][0].shape == (3, SIZE, SIZE, 3)
    assert batches[2][0].dtype == np.uint8


def test_decode_pictures_begins_where_it_is_told(sources):
    assert shades(decode_pictures(sources, SIZE, 4, start=8)) == [[80, 90, 100]]
    assert shades(decode_pictures(sources, SIZE, 4, start=11)) == []


@pytest.mark.parametrize("taken_at_once", [1, 3, 32])
def test_decode_pictures_unusable_ones_are_black_and_named_and_the_others_stay(
    sources, tmp_path, monkeypatch, taken_at_once
):
    monkeypatch.setattr(decoding, "_TAKEN_AT_ONCE", taken_at_once)
    mixed = broken(sources, tmp_path, damaged=[1, 8], missing=[2, 6])
    batches = list(decode_pictures(mixed, SIZE, 4))
    assert shades(batches) == [[0, 0, 0, 30], [40, 50, 0, 70], [0, 90, 100]]
    reasons = {row: why for _, failed in batches for row, why in failed.items()}
    assert sorted(reasons) == [1, 2, 6, 8]
    assert [sorted(failed) for _, failed in batches] == [[1, 2], [6], [8]]
    assert reasons[1].startswith("cannot be decoded: ")
    assert reasons[6] == "the file does not exist"


def test_decode_pictures_left_early_reads_no_further(sources, monkeypatch):
    read = []
    monkeypatch.setattr(decoding, "read_image", lambda source: read.append(source) or b"")
    batches = decode_pictures(sources * 1000, SIZE, 4)
    next(batches)
    batches.close()
    assert len(read) < 1000


def test_decode_pictures_error_that_is_no_picture_s_fault_is_raised_as_it_is(sources, monkeypatch):
    def fail(source):
        raise MemoryError("no room")

    monkeypatch.setattr(decoding, "read_image", fail)
    with pytest.raises(MemoryError, match="no room"):
        next(decode_pictures(sources, SIZE, 4))
