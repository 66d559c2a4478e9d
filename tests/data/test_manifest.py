import json
import os

import pytest

from udsph_tf.data.manifest import read_manifest
from udsph_tf.data.pairs import Problem

HEADER = "image,text,labels\n"


@pytest.fixture
def csv_file(tmp_path):
    """Function that writes `manifest.csv` and returns its folder."""

    def write(content, encoding="utf-8"):
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (tmp_path / "manifest.csv").write_bytes(data)
        return tmp_path

    return write


@pytest.fixture
def jsonl_file(tmp_path):
    """Function that writes `manifest.jsonl`, one value or raw line each, and returns its folder."""

    def write(*rows):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        (tmp_path / "manifest.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return tmp_path

    return write


def refused(root, kind=ValueError):
    with pytest.raises(kind) as error:
        read_manifest(root)
    return str(error.value)


# --- What is read ---


def test_csv_rows_become_pairs(csv_file):
    root = csv_file(HEADER + "a.jpg,A red dress,dress|red\nin/b.jpg,Blue shoes,shoes\n")
    pairs, problems = read_manifest(root)
    assert problems == []
    assert pairs.name == "manifest"
    assert pairs.ids.tolist() == ["a.jpg", "in/b.jpg"]
    assert pairs.images.tolist() == [str(root / "a.jpg"), str(root / "in" / "b.jpg")]
    assert pairs.texts.tolist() == ["A red dress", "Blue shoes"]
    assert pairs.label_names == ("dress", "red", "shoes")
    assert pairs.labels.tolist() == [[1, 1, 0], [0, 0, 1]]


def test_jsonl_rows_become_the_same_pairs(csv_file, jsonl_file, tmp_path):
    rows = [
        {"id": "1", "image": "a.jpg", "text": "A red dress", "labels": ["dress", " red ", ""]},
        {"id": "2", "image": "b.jpg", "text": "Blue shoes", "labels": ["shoes"]},
    ]
    from_json, _ = read_manifest(jsonl_file(rows[0], b"", b"   ", rows[1]) / "manifest.jsonl")
    csv_file("id,image,text,labels\n1,a.jpg,A red dress,dress | red||\n2,b.jpg,Blue shoes,shoes\n")
    from_csv, _ = read_manifest(tmp_path / "manifest.csv")
    assert from_json.checksum() == from_csv.checksum()
    assert from_json.images.tolist() == from_csv.images.tolist()
    assert from_json.ids.tolist() == ["1", "2"]


def test_csv_quotes_hold_commas_line_breaks_and_quotes(csv_file):
    root = csv_file(HEADER + '"a,b.jpg","12"" plate, ""white""\nround",plate\n')
    pairs, _ = read_manifest(root)
    assert pairs.ids.tolist() == ["a,b.jpg"]
    assert pairs.texts.tolist() == ['12" plate, "white"\nround']


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv_any_line_end_with_or_without_mark_and_in_unicode_is_read(csv_file, encoding, line_end):
    content = HEADER + "é.jpg,Kleid 红色 👗,größe\n\n"
    pairs, problems = read_manifest(csv_file(content.replace("\n", line_end), encoding))
    assert problems == []
    assert pairs.ids.tolist() == ["é.jpg"]
    assert pairs.texts.tolist() == ["Kleid 红色 👗"]
    assert pairs.label_names == ("größe",)


def test_jsonl_byte_order_mark_and_crlf_are_read(jsonl_file):
    row = '{"image": "a.jpg", "text": "é", "labels": ["x"]}\r'.encode()
    pairs, _ = read_manifest(jsonl_file(b"\xef\xbb\xbf" + row))
    assert pairs.texts.tolist() == ["é"]


def test_columns_in_any_order_and_empty_id_takes_the_image(csv_file):
    root = csv_file("labels,id,text,image\nx,,one,a.jpg\nx,7,two,b.jpg\n")
    pairs, _ = read_manifest(root)
    assert pairs.ids.tolist() == ["a.jpg", "7"]


def test_root_as_text_and_a_manifest_of_another_name_are_read(tmp_path):
    (tmp_path / "mine.csv").write_text(HEADER + "a.jpg,one,x\n")
    pairs, _ = read_manifest(str(tmp_path / "mine.csv"))
    assert pairs.images.tolist() == [str(tmp_path / "a.jpg")]


def test_picture_is_not_opened(csv_file):
    pairs, problems = read_manifest(csv_file(HEADER + "absent.jpg,one,x\n"))
    assert (len(pairs), problems) == (1, [])


# --- Rows that are left out, with their reason ---


@pytest.mark.parametrize("text", ["", "   ", "---", "!?", "👗"])
def test_text_without_a_word_is_a_problem(csv_file, text):
    root = csv_file(HEADER + f"a.jpg,{text},x\nb.jpg,fine,x\n")
    pairs, problems = read_manifest(root)
    assert pairs.ids.tolist() == ["b.jpg"]
    assert problems == [Problem("a.jpg", f"{root / 'manifest.csv'}, line 2", "the text is empty")]


def test_manifest_without_the_column_labels_is_of_pairs_alone(csv_file):
    root = csv_file("image,text\na.jpg,one\nb.jpg,\n")
    pairs, problems = read_manifest(root)
    assert pairs.ids.tolist() == ["a.jpg"]
    assert (pairs.labels.shape, pairs.label_names) == ((1, 0), ())
    assert [each.id for each in problems] == ["b.jpg"]


def test_jsonl_without_labels_is_of_pairs_alone(jsonl_file):
    pairs, problems = read_manifest(jsonl_file({"image": "a.jpg", "text": "one"}))
    assert (len(pairs), pairs.label_names, problems) == (1, (), [])
    row = {"image": "b.jpg", "text": "two", "labels": ["x"]}
    with pytest.raises(ValueError, match="rows before it have no `labels`, and it has some"):
        read_manifest(jsonl_file({"image": "a.jpg", "text": "one"}, row))


@pytest.mark.parametrize("labels", ["", " ", "|", " | "])
def test_no_label_is_a_problem(csv_file, labels):
    root = csv_file(HEADER + f"a.jpg,one,x\nb.jpg,fine,{labels}\n")
    _, problems = read_manifest(root)
    where = f"{root / 'manifest.csv'}, line 3"
    assert problems == [Problem("b.jpg", where, "the item has no label")]


def test_jsonl_empty_text_and_empty_labels_are_problems(jsonl_file):
    root = jsonl_file(
        {"image": "a.jpg", "text": "", "labels": ["x"]},
        {"image": "b.jpg", "text": "one", "labels": [" "]},
    )
    pairs, problems = read_manifest(root)
    assert len(pairs) == 0
    assert [each.reason for each in problems] == ["the text is empty", "the item has no label"]


def test_no_image_path_is_a_problem_of_its_line(csv_file):
    root = csv_file("id,image,text,labels\n,,one,x\n,,two,x\n5,,three,x\n")
    _, problems = read_manifest(root)
    assert [each.id for each in problems] == ["line 2", "line 3", "5"]
    assert {each.reason for each in problems} == {"the image path is empty"}


# --- Files that are refused ---


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("text,labels", "the column `image` is missing. Columns: ['text', 'labels']"),
        ("image,text,label", "unknown column `label`. Did you mean `labels`?"),
        ("image,caption,labels", "unknown column `caption`. Valid names: `id`, `image`,"),
        ("image;text;labels", "unknown column `image;text;labels`."),
        ("image,text,labels,text", "the column `text` occurs twice"),
        ("", "the column `image` is missing. Columns: []"),
    ],
)
def test_csv_wrong_columns_raise_with_the_nearest_name(csv_file, header, message):
    root = csv_file(f"{header}\na.jpg,one,x\n" if header else "")
    assert f"{root / 'manifest.csv'}: {message}" in refused(root)


@pytest.mark.parametrize("row", ["b.jpg,two", "b.jpg,red, white,x", "b.jpg"])
def test_csv_wrong_number_of_fields_raises_with_the_line(csv_file, row):
    root = csv_file(HEADER + f'a.jpg,"of two\nlines",x\n{row}\n')
    message = refused(root)
    assert "manifest.csv, line 4: the row has not 3 fields as the header has" in message
    assert "quote texts with commas in them" in message


@pytest.mark.parametrize("row", ['"b.jpg" c,two,x', 'b.jpg,"never closed,x'])
def test_csv_wrong_quotes_raise_with_the_line(csv_file, row):
    assert "manifest.csv, line 3: not CSV: " in refused(csv_file(HEADER + f"a.jpg,one,x\n{row}\n"))


def test_csv_not_utf8_raises_with_the_path(csv_file):
    root = csv_file(HEADER.encode() + b"a.jpg,caf\xe9,x\n")
    assert f"{root / 'manifest.csv'}, line 2: not UTF-8 (" in refused(root)


def test_duplicate_id_raises_with_both_lines(csv_file):
    root = csv_file("id,image,text,labels\n7,a.jpg,one,x\n8,b.jpg,two,x\n7,c.jpg,three,x\n")
    assert refused(root) == (
        f"{root / 'manifest.csv'}, line 4: the id '7' occurs a second time (first in line 2). "
        "Every item needs its own `id`"
    )


def test_one_picture_twice_without_ids_raises(csv_file):
    root = csv_file(HEADER + "a.jpg,one,x\na.jpg,two,x\n")
    assert "line 3: the id 'a.jpg' occurs a second time" in refused(root)


@pytest.mark.parametrize("image", ["../a.jpg", "in/../../a.jpg", "/etc/hostname"])
def test_path_out_of_the_root_raises(csv_file, image):
    root = csv_file(HEADER + f"{image},one,x\n")
    assert refused(root) == (
        f"{root / 'manifest.csv'}, line 2: the image path {image!r} leads out of {root}. "
        "Paths must stay inside the folder of the manifest"
    )


def test_link_out_of_the_root_raises(tmp_path, csv_file):
    outside = tmp_path.parent / f"{tmp_path.name} outside"
    outside.mkdir()
    os.symlink(outside, tmp_path / "link")
    assert "line 2: the image path 'link/a.jpg' leads out" in refused(
        csv_file(HEADER + "link/a.jpg,one,x\n")
    )


def test_path_that_stays_inside_is_fine(tmp_path, csv_file):
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "in", tmp_path / "link")
    csv_file(HEADER + f"in/../a.jpg,one,x\nlink/b.jpg,two,x\n{tmp_path / 'c.jpg'},three,x\n")
    pairs, _ = read_manifest(tmp_path)
    expected = [str(tmp_path / name) for name in ("a.jpg", "in/b.jpg", "c.jpg")]
    assert pairs.images.tolist() == expected


def test_root_that_is_a_link_itself_is_fine(tmp_path, csv_file):
    csv_file(HEADER + "a.jpg,one,x\n")
    os.symlink(tmp_path, tmp_path / "root")
    pairs, _ = read_manifest(tmp_path / "root")
    assert pairs.images.tolist() == [str(tmp_path / "a.jpg")]


def test_path_with_zero_byte_or_links_in_a_circle_raises_with_the_line(tmp_path, csv_file):
    os.symlink(tmp_path / "circle", tmp_path / "circle")
    for image in ("zero\0.jpg", "circle"):
        message = refused(csv_file(HEADER + f"{image},one,x\n"))
        assert f"line 2: the image path {image!r}: " in message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b'{"image": "a.jpg", "text": ', "not JSON in UTF-8: "),
        (b'{"image": "a.jpg", "text": "caf\xe9", "labels": ["x"]}', "not JSON in UTF-8: "),
        (b'{"image": "a.jpg", "text": "half \\ud83d", "labels": ["x"]}', "not JSON in UTF-8: "),
        (b"[" * 200_000, "not JSON in UTF-8: "),
        (["a.jpg", "one", ["x"]], "must be a JSON object"),
        (7, "must be a JSON object"),
        (
            {"image": "a.jpg", "text": "one"},
            "rows before it have `labels`, and it has none. Give labels in all rows, or in none",
        ),
        (
            {"image": "a.jpg", "text": "one", "labels": ["x"], "txet": "?"},
            "unknown column `txet`. Did you mean `text`?",
        ),
        ({"image": 5, "text": "one", "labels": ["x"]}, "`image` must be a string"),
        ({"image": "a.jpg", "text": None, "labels": ["x"]}, "`text` must be a string"),
        ({"id": 5, "image": "a.jpg", "text": "one", "labels": ["x"]}, "`id` must be a string"),
        (
            {"image": "a.jpg", "text": "one", "labels": "x|y"},
            "`labels` must be a list of strings",
        ),
        ({"image": "a.jpg", "text": "one", "labels": [5]}, "`labels` must be a list of strings"),
    ],
)
def test_jsonl_unfit_row_raises_with_the_line(jsonl_file, row, message):
    root = jsonl_file({"image": "first.jpg", "text": "one", "labels": ["x"]}, row)
    found = refused(root)
    assert f"{root / 'manifest.jsonl'}, line 2: {message}" in found
    assert len(found) < 400


def test_both_files_raise(csv_file, jsonl_file):
    csv_file(HEADER)
    root = jsonl_file({})
    assert refused(root) == f"{root} has both manifest.csv and manifest.jsonl; name one of them"


@pytest.mark.parametrize("name", ["", "absent"])
def test_no_manifest_raises_with_what_to_write(tmp_path, name):
    message = refused(tmp_path / name, FileNotFoundError)
    assert f"neither manifest.csv nor manifest.jsonl in {tmp_path / name}. Write one" in message
    assert "image, text, labels" in message


@pytest.mark.parametrize("given", ["", "pairs/more"])
def test_manifest_one_level_away_is_named(tmp_path, given):
    (tmp_path / "pairs/more").mkdir(parents=True)
    (tmp_path / "pairs/manifest.csv").touch()
    message = refused(tmp_path / given, FileNotFoundError)
    assert message.endswith(f"; or give {tmp_path / 'pairs/manifest.csv'}, if it is yours")


def test_file_of_another_kind_raises(tmp_path):
    (tmp_path / "pairs.xlsx").touch()
    message = refused(tmp_path / "pairs.xlsx")
    assert message == f"A manifest is a .csv or .jsonl file. Received: {tmp_path / 'pairs.xlsx'}"


def test_no_rows_raise(csv_file, tmp_path):
    assert refused(csv_file(HEADER)).endswith("manifest.csv has no rows")
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    assert refused(tmp_path / "empty.jsonl").endswith("empty.jsonl has no rows")
