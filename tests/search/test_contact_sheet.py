import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from udsph_tf.search import Hit, Item, Query, draw_contact_sheet
from udsph_tf.search.contact_sheet import _BLANK

RED, GREEN = (220, 30, 30), (20, 160, 60)
DATA = Path(os.environ.get("UDSPH_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def encode(colour, size=(60, 80), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_hits(count, text="a red dress"):
    return [
        Hit(Item(str(rank), text, f"{rank}.png"), distance=3 * rank, rank=rank)
        for rank in range(1, count + 1)
    ]


def count_pixels(path, colour):
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=int)
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def draw(path, query=None, hits=None, read_image=lambda uri: encode(RED), **options):
    query = query or Query(text="red dress")
    draw_contact_sheet(path, query, make_hits(10) if hits is None else hits, read_image, **options)
    return path


def test_draw_contact_sheet_ten_hits_is_a_wide_png_with_ten_pictures(tmp_path):
    path = draw(tmp_path / "sheet.png")
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == (1388, 672)
    # 60 x 80 in a box of 160 x 160 is 120 x 160.
    assert count_pixels(path, RED) == 10 * 120 * 160
    assert os.listdir(tmp_path) == ["sheet.png"]


@pytest.mark.parametrize(("count", "pictures", "height"), [(3, 3, 375), (7, 7, 672), (12, 10, 672)])
def test_draw_contact_sheet_rows_follow_the_number_of_hits(tmp_path, count, pictures, height):
    path = draw(tmp_path / "sheet.png", hits=make_hits(count))
    assert count_pixels(path, RED) == pictures * 120 * 160
    with Image.open(path) as sheet:
        assert sheet.size == (1388, height)


def test_draw_contact_sheet_image_query_stands_in_the_left_panel(tmp_path):
    query = Query(image=encode(GREEN + (255,), (50, 50), "RGBA"), text="eine grüne Bluse")
    path = draw(tmp_path / "sheet.png", query=query)
    assert count_pixels(path, GREEN) == 150 * 150
    panel = np.asarray(Image.open(path).convert("RGB"))[:, :330]
    assert (np.abs(panel.astype(int) - GREEN).max(axis=-1) <= 2).sum() == 150 * 150


def test_draw_contact_sheet_unreadable_pictures_become_placeholders(tmp_path):
    def read_image(uri):
        rank = int(uri.split(".")[0])
        if rank == 1:
            raise FileNotFoundError(2, "No such file or directory", uri)
        if rank == 2:
            raise KeyError("There is no item named '2.png' in the archive")
        if rank == 3:
            return b"not a picture"
        if rank == 4:
            raise OSError
        return encode(RED)

    path = draw(tmp_path / "sheet.png", read_image=read_image)
    assert count_pixels(path, RED) == 6 * 120 * 160
    blank = tuple(int(_BLANK[place : place + 2], 16) for place in (1, 3, 5))
    # Each placeholder fills its box of 160 x 160, less the letters on it.
    assert 4 * 160 * 160 * 0.8 < count_pixels(path, blank) < 4 * 160 * 160


def test_draw_contact_sheet_unreadable_query_is_still_written(tmp_path):
    path = draw(tmp_path / "sheet.png", query=Query(image=b"not a picture", text="a dress"))
    assert count_pixels(path, RED) == 10 * 120 * 160


@pytest.mark.parametrize(
    "text",
    ["", "Ärmellose Bluse, платье", "红色连衣裙" * 20, "👗 \u202e \ud83d \x00", "x" * 10_000],
)
def test_draw_contact_sheet_any_words_are_drawn(tmp_path, text):
    path = draw(tmp_path / "sheet.png", query=Query(text=text), hits=make_hits(2, text))
    assert count_pixels(path, RED) == 2 * 120 * 160


def test_draw_contact_sheet_no_hits_is_still_a_sheet(tmp_path):
    with Image.open(draw(tmp_path / "sheet.png", hits=[])) as sheet:
        assert sheet.size == (1388, 375)


def test_draw_contact_sheet_existing_file_is_replaced(tmp_path):
    (tmp_path / "sheet.png").write_bytes(b"old")
    assert count_pixels(draw(tmp_path / "sheet.png"), RED) > 0


def test_draw_contact_sheet_failure_leaves_no_file(tmp_path, monkeypatch):
    def no_space(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    image = encode(RED)
    monkeypatch.setattr(Image.Image, "save", no_space)
    with pytest.raises(OSError, match="No space left"):
        draw(tmp_path / "sheet.png", read_image=lambda uri: image)
    assert os.listdir(tmp_path) == []


def test_draw_contact_sheet_other_suffix_raises(tmp_path):
    with pytest.raises(ValueError, match='`path` must end in ".png". Received: path='):
        draw(tmp_path / "sheet.jpg")


def test_draw_contact_sheet_unexpected_error_of_the_reader_is_not_hidden(tmp_path):
    def read_image(uri):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw(tmp_path / "sheet.png", read_image=read_image)
    assert os.listdir(tmp_path) == []


def test_query_neither_text_nor_image_raises():
    with pytest.raises(ValueError, match="`Query` must have a text or an image"):
        Query()


@pytest.mark.skipif(
    not (DATA / "fashion" / "images.zip").is_file(),
    reason="fashion photos are not there: set UDSPH_DATA to the folder that holds `fashion/`",
)
def test_draw_contact_sheet_real_photos_fill_the_sheet(tmp_path):
    with zipfile.ZipFile(DATA / "fashion" / "images.zip") as photos:
        with open(DATA / "fashion" / "styles.csv", encoding="utf-8") as file:
            rows = [row for row, _ in zip(csv.DictReader(file), range(11), strict=False)]
        items = [
            Item(row["id"], row["productDisplayName"], f"images/{row['id']}.jpg") for row in rows
        ]
        hits = [Hit(item, rank, rank) for rank, item in enumerate(items[1:], start=1)]
        query = Query(text=items[0].text, image=photos.read(items[0].image))
        draw_contact_sheet(tmp_path / "sheet.png", query, hits, photos.read)
    blank = tuple(int(_BLANK[place : place + 2], 16) for place in (1, 3, 5))
    assert count_pixels(tmp_path / "sheet.png", blank) < 1_000
