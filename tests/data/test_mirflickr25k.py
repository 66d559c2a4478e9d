import logging

import made_downloads
import pytest

from udsph_tf.data import mirflickr25k
from udsph_tf.data.images import read_image
from udsph_tf.data.mat_file import MatFile
from udsph_tf.data.mirflickr25k import POTENTIAL, RELEVANT, check_mirflickr25k, read_mirflickr25k


@pytest.fixture
def tree(tmp_path):
    return made_downloads.mirflickr(tmp_path / "mirflickr25k")


def test_label_lists_are_24_potential_and_14_relevant():
    assert (len(POTENTIAL), len(RELEVANT)) == (24, 14)
    assert set(RELEVANT) < set(POTENTIAL)


def test_read_mirflickr25k_keeps_frequent_tags_and_drops_items_without_tag_or_label(tree):
    pairs, problems = read_mirflickr25k(tree)
    # Of 48 pictures, 45 and 46 have no label, 47 and 48 no tag that 20 pictures have.
    assert pairs.ids.tolist() == [f"im{n}" for n in range(1, 45)]
    assert problems == []
    assert pairs.texts[:2].tolist() == ["nikon blauerhimmel", "nikon tree"]
    assert pairs.label_names == ("sky", "tree", "water")
    assert pairs.labels[:4].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0]]
    assert pairs.labels.sum(axis=0).tolist() == [30, 11, 14]
    assert read_image(pairs.images[0]).startswith(b"\xff\xd8")


def test_read_mirflickr25k_relevant_labels_are_kept_apart(tree):
    pairs, _ = read_mirflickr25k(tree, relevant=True)
    assert {group: len(columns) for group, columns in pairs.label_groups().items()} == {
        "potential": 3,
        "relevant": 1,
    }
    # Every eighth picture is about a tree, every fourth shows one.
    assert pairs.labels[:, pairs.label_names.index("relevant=tree")].sum() == 5
    assert pairs.labels[:, pairs.label_names.index("potential=tree")].sum() == 11


def test_read_mirflickr25k_missing_tag_file_is_a_problem_and_a_missing_picture_is_found_later(tree):
    (tree / "mirflickr/meta/tags/tags2.txt").unlink()
    (tree / "mirflickr/im1.jpg").unlink()
    pairs, problems = read_mirflickr25k(tree)
    assert [(each.id, each.reason) for each in problems] == [
        ("im2", "there is no tags2.txt: unpack the tags, or download them again")
    ]
    # The row stays, so that rows of published splits can be counted.
    assert pairs.ids[0] == "im1"
    assert pairs.images[0] == str(tree / "mirflickr/im1.jpg")


def test_read_mirflickr25k_tags_that_are_not_utf8_are_named_and_left_out(tree, caplog):
    path = tree / "mirflickr/meta/tags/tags1.txt"
    path.write_bytes(b"nikon\r\nk\xf6ln\r\n")
    with caplog.at_level(logging.WARNING):
        pairs, _ = read_mirflickr25k(tree)
    assert pairs.texts[0] == "nikon"
    assert f"not UTF-8 are left out, in {path}. Convert" in caplog.text


def test_read_mirflickr25k_missing_list_raises_with_its_name(tree):
    (tree / "annotations/lake.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no label list lake\.txt below"):
        read_mirflickr25k(tree)


def test_read_mirflickr25k_root_one_level_too_deep_names_the_right_one(tree):
    with pytest.raises(
        FileNotFoundError,
        match=r"list animals.txt .*animals.txt belongs to it, give the folder \S*mirflickr25k$",
    ):
        read_mirflickr25k(tree / "mirflickr")


def test_read_mirflickr25k_list_of_something_else_raises_with_file_and_line(tree):
    (tree / "annotations/sky.txt").write_text("1\nim2.jpg\n")
    with pytest.raises(ValueError, match=r"annotations/sky\.txt, line 2: must be the number of a"):
        read_mirflickr25k(tree)


@pytest.mark.parametrize("content", ["", "\r\n \r\n"])
def test_read_mirflickr25k_empty_list_raises_with_the_path(tree, content):
    (tree / "annotations/sky.txt").write_text(content)
    with pytest.raises(ValueError, match=r"annotations/sky\.txt is empty. Download .*_v080\.zip"):
        read_mirflickr25k(tree)


def test_read_mirflickr25k_list_that_ends_inside_a_number_raises(tree):
    path = tree / "annotations/sky.txt"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"43 ") + 1])
    with pytest.raises(ValueError, match=r"sky\.txt is cut off: it ends in 4, a part of a number"):
        read_mirflickr25k(tree)
    # Only the last line end is missing.
    path.write_bytes(whole.rstrip())
    assert read_mirflickr25k(tree)[0].labels.sum(axis=0).tolist() == [30, 11, 14]


def test_read_mirflickr25k_whole_download_with_a_list_that_is_too_short_raises(tree, monkeypatch):
    monkeypatch.setattr(mirflickr25k, "_NUM_PICTURES", 48)
    # As in the matrices: no fewer of the 20,015 items have the label.
    monkeypatch.setattr(mirflickr25k, "_LEAST", {"sky": 32, "tree": 13})
    with pytest.raises(ValueError, match=r"tree\.txt is cut off: it has 12 pictures, and 13 of"):
        read_mirflickr25k(tree)


def test_least_pictures_of_a_list_are_the_sums_of_the_matrix(real_data):
    matrix = MatFile(real_data("mirflickr") / "mirflickr25k-lall.mat").array("LAll")
    assert list(mirflickr25k._LEAST.values()) == matrix.sum(axis=0).tolist()


def test_check_mirflickr25k_names_what_is_missing_and_what_is_extra(tree):
    (tree / "annotations/lake.txt").unlink()
    made_downloads.write(tree / "annotations/sea_r2.txt", "1\n")
    (tree / "annotations/sky.txt").write_text("25001\n")
    found = {each.part: each for each in check_mirflickr25k(tree)}
    assert found["pictures"].missing[0] == "im49.jpg"
    assert len(found["pictures"].missing) == 25_000 - 48
    assert found["label lists"].missing == ("lake.txt",)
    assert found["label lists"].extra == ("sea_r2.txt",)
    assert found["unknown pictures in sky.txt"].extra == ("im25001",)
    assert "sky.txt (1 pictures, at least 6,818)" in found["label lists that are cut off"].extra
    assert found["pictures with a potential label"].expected == 24_581
    assert found["the same, by doc/common_tags.txt"].is_right
    tags = found["tags of at least 20 pictures"]
    assert (tags.expected, tags.found) == (1386, 3)
