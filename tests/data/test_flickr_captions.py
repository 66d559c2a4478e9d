import json

import made_downloads
import numpy as np
import pytest

from udsph_tf.data import make_split
from udsph_tf.data.captions import one_row_a_caption
from udsph_tf.data.flickr_captions import check_flickr_captions, read_flickr_captions


@pytest.fixture
def tree(tmp_path):
    return made_downloads.flickr8k(tmp_path / "flickr8k")


def test_read_flickr8k_official_roles_and_no_labels(tree):
    pairs, problems = read_flickr_captions(tree, "flickr8k")
    # The sentences of a picture that was never published are in no list.
    assert problems == []
    assert len(pairs) == 38
    assert pairs.labels.shape == (38, 0)
    assert pairs.texts[1].split("\n")[4] == "A green field , number 4 of 1 ."
    roles = make_split(pairs).roles
    assert {role: len(ids) for role, ids in roles.items()} == {
        "train": 26,
        "validation": 6,
        "query": 6,
        "database": 0,
    }


def test_one_row_a_caption_repeats_everything_but_id_and_text(tree):
    pairs, _ = read_flickr_captions(tree, "flickr8k")
    rows, items = one_row_a_caption(pairs)
    assert len(rows) == 5 * 38
    assert items.tolist() == np.repeat(np.arange(38), 5).tolist()
    assert rows.ids[:2].tolist() == [pairs.ids[0], f"{pairs.ids[0]}#1"]
    assert (rows.roles == pairs.roles[items]).all()
    assert (rows.images == pairs.images[items]).all()


def test_read_flickr8k_labels_of_the_users_file(tree, tmp_path):
    plain, _ = read_flickr_captions(tree, "flickr8k")
    labels = {item: ["odd", "any"] if n % 2 else ["any"] for n, item in enumerate(plain.ids[1:])}
    path = made_downloads.label_file(tmp_path / "labels.csv", labels)
    pairs, problems = read_flickr_captions(tree, "flickr8k", labels=str(path))
    assert pairs.label_names == ("any", "odd")
    assert [(each.id, each.reason) for each in problems] == [
        (plain.ids[0], f"the picture has no label in {path}")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,label\n1,a\n", "must have the columns id and labels. Received: .'id', 'label'"),
        ("id,labels\n1,a\n1,b\n", "line 3: the id '1' occurs twice"),
        ("id,labels\n1\n", "line 2: must have two fields"),
        (b"id,labels\n1,\xff\n", "is not a CSV file in UTF-8"),
    ],
)
def test_read_flickr8k_wrong_label_file_raises(tree, tmp_path, content, message):
    made_downloads.write(tmp_path / "labels.csv", content)
    with pytest.raises(ValueError, match=message):
        read_flickr_captions(tree, "flickr8k", labels=str(tmp_path / "labels.csv"))
    with pytest.raises(FileNotFoundError, match="There is no file of labels"):
        read_flickr_captions(tree, "flickr8k", labels=str(tmp_path / "absent.csv"))


def test_read_flickr30k_of_kaggle_with_its_broken_row(tmp_path):
    pairs, problems = read_flickr_captions(made_downloads.flickr30k(tmp_path), "flickr30k")
    assert problems == []
    assert len(pairs) == 30
    assert pairs.roles is None
    assert pairs.texts[0].split("\n")[3:] == [
        "A red dog , number 3 .",
        "A dog runs across the grass .",
    ]


def test_read_flickr30k_lists_without_endings_or_karpathys_file_give_roles(tmp_path):
    root = made_downloads.flickr30k(tmp_path)
    ids = [str(1000092795 + n) for n in range(30)]
    parts = {"train": ids[:20], "restval": ids[20:22], "val": ids[22:25], "test": ids[25:]}
    images = [
        {"filename": f"{item}.jpg", "split": part} for part, each in parts.items() for item in each
    ]
    made_downloads.write(root / "dataset_flickr30k.json", json.dumps({"images": images}))
    by_json = read_flickr_captions(root, "flickr30k")[0].roles
    for part, rows in (("train", ids[:22]), ("val", ids[22:25]), ("test", ids[25:])):
        made_downloads.write(root / f"{part}.txt", "\r\n".join([*rows, ""]))
    by_list = read_flickr_captions(root, "flickr30k")[0].roles
    assert by_list.tolist() == by_json.tolist()
    assert (by_list == "query").sum() == 5


def test_read_flickr8k_of_kaggle_is_comma_separated(tmp_path):
    rows = ['a.jpg,"A man , a plan ."', "a.jpg,Another .", "b.jpg,A cat , a hat .", "b.jpg,B ."]
    made_downloads.write(tmp_path / "captions.txt", "image,caption\n" + "\n".join(rows))
    for name in "abc":
        made_downloads.write(tmp_path / f"Images/{name}.jpg", b"")
    pairs, problems = read_flickr_captions(tmp_path, "flickr8k", captions="all")
    assert pairs.texts.tolist() == ["A man , a plan . Another .", "A cat , a hat . B ."]
    assert [(each.id, each.source, each.reason) for each in problems] == [
        (
            "c.jpg",
            str(tmp_path / "Images/c.jpg"),
            f"it has no sentence in {tmp_path}/captions.txt: download that file again",
        )
    ]


def test_read_flickr30k_of_kaggle_with_numbered_rows(tmp_path):
    rows = ['a.jpg,1,"So , so"', "a.jpg,0,7 men", "b.jpg,0,A cat , a hat", "b.jpg,1,B"]
    rows = "\r\n".join(["image_name,comment_number,comment", *rows])
    made_downloads.write(tmp_path / "captions.txt", rows)
    for name in "ab":
        made_downloads.write(tmp_path / f"flickr30k_images/{name}.jpg", b"")
    pairs, problems = read_flickr_captions(tmp_path, "flickr30k")
    assert problems == []
    assert pairs.texts.tolist() == ["7 men\nSo , so", "A cat , a hat\nB"]


def test_read_flickr8k_without_lists_leaves_the_unpublished_picture_out(tree):
    for path in (tree / "Flickr8k_text").glob("Flickr_8k*"):
        path.unlink()
    pairs, problems = read_flickr_captions(tree, "flickr8k")
    assert (len(pairs), problems, pairs.roles) == (40, [], None)


def test_read_flickr8k_sentences_without_their_picture_are_a_problem(tree):
    victim = sorted((tree / "Flicker8k_Dataset").iterdir())[3]
    victim.unlink()
    pairs, problems = read_flickr_captions(tree, "flickr8k")
    assert len(pairs) == 37
    assert problems[0].id == victim.name
    assert problems[0].reason.startswith(f"there is no such picture below {tree}: unpack")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text + text.splitlines()[0],
            r"line \d+: sentence 0 of .* is there a second time",
        ),
        (lambda text: "image,caption\n" + text, "line 1: must be <picture>#<number>, a tab"),
        (lambda text: "", "has no sentence. Download it again"),
        (
            lambda text: "\n".join(text.split("\n")[:103]),
            "is cut off: its last picture, 1000268221_693b08cb0e.jpg, has 3 sentences and each "
            "other one 5. Download it again",
        ),
    ],
)
def test_read_flickr8k_wrong_line_raises_with_file_and_line(tree, change, message):
    path = tree / "Flickr8k_text/Flickr8k.token.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=rf"Flickr8k\.token\.txt,? {message}"):
        read_flickr_captions(tree, "flickr8k")


def test_read_flickr8k_list_that_is_empty_or_ends_inside_a_name_is_named(tree):
    path = tree / "Flickr8k_text/Flickr_8k.devImages.txt"
    path.write_text(path.read_text()[:-13])
    _, problems = read_flickr_captions(tree, "flickr8k")
    assert problems[0].id == "1000268232_69.jpg"
    assert problems[0].reason.startswith("a list of the split names it, and ")
    path.write_text("")
    with pytest.raises(ValueError, match=r"devImages\.txt is empty. Download it again"):
        read_flickr_captions(tree, "flickr8k")


def test_read_flickr30k_split_of_another_data_set_raises(tmp_path):
    root = made_downloads.flickr30k(tmp_path)
    images = [{"filename": "7.jpg", "split": "test"}]
    made_downloads.write(root / "dataset_flickr30k.json", json.dumps({"images": images}))
    with pytest.raises(ValueError, match="No picture below .* Are they of the same data set?"):
        read_flickr_captions(root, "flickr30k")


def test_read_flickr8k_sentences_in_another_encoding_raise_with_the_line(tree):
    path = tree / "Flickr8k_text/Flickr8k.token.txt"
    path.write_bytes(path.read_bytes() + b"x.jpg#0\tcaf\xe9\n")
    with pytest.raises(ValueError, match=r"token\.txt, line 206: not UTF-8 .*iconv"):
        read_flickr_captions(tree, "flickr8k")


def test_read_flickr8k_missing_list_or_pictures_raise(tree):
    (tree / "Flickr8k_text/Flickr_8k.devImages.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no Flickr_8k\.devImages\.txt beside the other"):
        read_flickr_captions(tree, "flickr8k")
    with pytest.raises(FileNotFoundError, match=r"no picture below .*jpg belongs to it, give"):
        read_flickr_captions(tree / "Flickr8k_text", "flickr8k")


def test_check_flickr30k_expects_as_many_pictures_as_karpathys_file_has(tmp_path):
    root = made_downloads.flickr30k(tmp_path)
    images = [{"filename": f"{1000092795 + n}.jpg", "split": "test"} for n in range(30)]
    made_downloads.write(root / "dataset_flickr30k.json", json.dumps({"images": images}))
    found = {each.part: each for each in check_flickr_captions(root, "flickr30k")}
    assert found["pictures in the lists of the split"].expected == 31_014
    assert found["pictures in the lists of the split"].found == 30


def test_check_flickr8k_counts(tree):
    found = {each.part: each for each in check_flickr_captions(tree, "flickr8k")}
    assert (found["pictures"].found, found["pictures"].expected) == (40, 8_091)
    assert (found["sentences"].found, found["sentences"].expected) == (200, 40_455)
    assert found["pictures with sentences"].is_right
    assert found["pictures in the lists of the split"].found == 38
