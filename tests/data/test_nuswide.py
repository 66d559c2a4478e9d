import made_downloads
import pytest

from udsph_tf.data import nuswide
from udsph_tf.data.nuswide import CONCEPTS, check_nuswide, read_nuswide


@pytest.fixture
def tree(tmp_path):
    return made_downloads.nuswide(tmp_path / "nus")


def test_concepts_are_81():
    assert len(set(CONCEPTS)) == 81


def test_read_nuswide_keeps_the_items_of_the_most_frequent_concepts(tree):
    pairs, problems = read_nuswide(tree, num_concepts=21)
    assert problems == []
    # Only picture 7 has none of them.
    assert len(pairs) == 59
    assert "airport/0007_2124494186" not in pairs.ids
    assert pairs.ids[1] == "animal/0001_2124494180"
    assert pairs.images[1] == str(tree / "Flickr/animal/0001_2124494180.jpg")
    assert pairs.texts[:6].tolist() == [
        "word0 word10 word999",
        "word1 word11 word999",
        "word2 word12 word999",
        "word0 word13 word999",
        "word1 word14 word999",
        "",
    ]
    # The tree gives the 22nd concept to twice as many pictures as the 21st.
    assert pairs.label_names == (*CONCEPTS[:20], CONCEPTS[21])
    assert len(read_nuswide(tree, num_concepts=21, untagged="skip")[0]) == 53


def test_read_nuswide_fewer_concepts_are_the_most_frequent_ones(tree):
    pairs, _ = read_nuswide(tree, num_concepts=10)
    assert pairs.name == "nuswide-tc10"
    assert pairs.labels.shape[1] == 10
    assert pairs.label_names[:4] == CONCEPTS[:4]


def test_read_nuswide_large_matrix_is_read_block_by_block(tree, monkeypatch):
    whole = read_nuswide(tree)[0].checksum()
    monkeypatch.setattr(nuswide, "_BLOCK", 1 << 12)
    assert read_nuswide(tree)[0].checksum() == whole


@pytest.mark.parametrize("first", [0, 1])
def test_read_nuswide_pictures_in_one_folder_are_found_by_name_or_number(tree, first):
    flat = tree / "images"
    flat.mkdir()
    for path in sorted((tree / "Flickr").rglob("*.jpg")):
        path.rename(flat / "_".join(path.name.split("_")[first:]))
    pairs, _ = read_nuswide(tree)
    assert pairs.images[0] == str(flat / ("0000_2124494179.jpg", "2124494179.jpg")[first])


def rewrite(path, change):
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "Groundtruth/AllLabels/Labels_sky.txt",
            lambda text: text[: len(text) // 2],
            r"Labels_sky\.txt has 30 lines, but the image list has 60",
        ),
        (
            "Groundtruth/AllLabels/Labels_sky.txt",
            lambda text: text.replace("0\n", "-1130179\n", 1),
            r"Labels_sky\.txt, line 1: must be 1 times 0 or 1 .* 1 fields: '-1130179'",
        ),
        (
            "NUS_WID_Tags/AllTags1k.txt",
            lambda text: text[:-30],
            r"AllTags1k\.txt, line 60: must be 1000 times 0 or 1 .*. Received 98\d fields",
        ),
        (
            "NUS_WID_Tags/TagList1k.txt",
            lambda text: text.replace("word7", "", 1),
            r"AllTags1k\.txt, line 1: must be 999 times .*the words of \S*/TagList1k\.txt",
        ),
        (
            "ImageList/Imagelist.txt",
            lambda text: text + text.splitlines()[0],
            r"Imagelist\.txt, line 61: .* a second time \(first in line 1\)",
        ),
        (
            "ImageList/Imagelist.txt",
            lambda text: "0\n1\n",
            r"Imagelist\.txt, line 1: must be a picture such as",
        ),
        (
            "ImageList/Imagelist.txt",
            lambda text: "\n",
            r"Imagelist\.txt is empty. Download it again",
        ),
    ],
)
def test_read_nuswide_damaged_or_swapped_list_raises_with_file_and_line(
    tree, file, change, message
):
    rewrite(tree / file, change)
    with pytest.raises(ValueError, match=message):
        read_nuswide(tree)


def test_read_nuswide_no_picture_with_a_frequent_concept_raises(tree):
    for path in (tree / "Groundtruth/AllLabels").iterdir():
        path.write_text("0\n" * 60)
    with pytest.raises(
        ValueError, match=r"No picture below .* Groundtruth/AllLabels holds 0 alone"
    ):
        read_nuswide(tree)


@pytest.mark.parametrize(
    "file",
    [
        "Groundtruth/AllLabels/Labels_zebra.txt",
        "ImageList/Imagelist.txt",
        "NUS_WID_Tags/AllTags1k.txt",
        "NUS_WID_Tags/TagList1k.txt",
    ],
)
def test_read_nuswide_missing_list_raises_with_its_name(tree, file):
    (tree / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"There is no {file} below"):
        read_nuswide(tree)


def test_check_nuswide_counts_and_names(tree):
    (tree / "Flickr/animal/0001_2124494180.jpg").unlink()
    (tree / "Groundtruth/AllLabels/Labels_zebra.txt").unlink()
    found = {each.part: each for each in check_nuswide(tree, 21)}
    assert found["label lists"].missing == ("zebra",)
    assert found["picture files"].missing == ("animal/0001_2124494180.jpg",)
    assert found["lines of AllTags1k.txt"].found == 60
    assert found["words of TagList1k.txt"].is_right
