import json
import logging

import made_downloads
import pytest

from udsph_tf.data.coco import check_coco, read_coco
from udsph_tf.data.images import read_image


@pytest.fixture
def tree(tmp_path):
    return made_downloads.coco(tmp_path / "coco")


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_read_coco_one_item_a_picture_and_those_without_an_object_left_out(tree):
    pairs, problems = read_coco(tree)
    assert problems == []
    # 40 + 8 pictures, of which 10, 20, 30 and 40 have no object.
    assert len(pairs) == 44
    assert pairs.ids[:2].tolist() == ["1", "2"]
    assert "10" not in pairs.ids
    # Sentences are in the order of their numbers, without the line ends that some have.
    assert pairs.texts[0].startswith("A green field number 4. A green field number 3. ")
    assert pairs.texts[0].endswith("A green thing.")
    assert pairs.label_names == ("kind1", "kind2", "kind3")
    assert read_image(pairs.images[-1]).startswith(b"\xff\xd8")


def test_read_coco_first_or_each_sentence(tree):
    assert read_coco(tree, captions="first")[0].texts[0] == "A green field number 4."
    assert read_coco(tree, captions="each")[0].texts[0].count("\n") == 4


def test_read_coco_archives_of_2014(tmp_path):
    root = made_downloads.coco(tmp_path, 2014, train=12, val=3, zipped=True)
    pairs, _ = read_coco(root, 2014)
    assert len(pairs) == 14
    assert pairs.images[0].endswith("train2014.zip!train2014/COCO_train2014_000000000001.jpg")
    assert read_image(pairs.images[0]).startswith(b"\xff\xd8")


def test_read_coco_part_that_is_absent_is_left_out_with_a_warning(tree, caplog):
    for kind in ("captions", "instances"):
        (tree / f"annotations/{kind}_train2017.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(read_coco(tree)[0]) == 8
    assert "no annotation of train2017" in caplog.text


def test_read_coco_picture_without_sentence_is_a_problem(tree):
    def edit(content):
        said = content["annotations"]
        content["annotations"] = [each for each in said if each["image_id"] != 3]

    change(tree / "annotations/captions_train2017.json", edit)
    pairs, problems = read_coco(tree)
    assert "3" not in pairs.ids
    assert problems[0].reason.startswith("000000000003.jpg has no sentence in the captions file")


def test_read_coco_sentences_of_an_unlisted_picture_raise(tree):
    change(
        tree / "annotations/captions_train2017.json",
        lambda content: content["annotations"][0].update(image_id=777),
    )
    with pytest.raises(ValueError, match=r"captions_train2017.json has sentences of .*list: 777"):
        read_coco(tree)


def test_read_coco_picture_listed_twice_raises(tree):
    change(
        tree / "annotations/captions_val2017.json",
        lambda content: content["images"].append(content["images"][0]),
    )
    with pytest.raises(ValueError, match=r"captions_val2017.json: picture 1001 is there twice"):
        read_coco(tree)


@pytest.mark.parametrize(
    ("kind", "edit", "message"),
    [
        (
            "captions",
            lambda c: c["annotations"].append(c["annotations"][0]),
            "sentence 14 is ",
        ),
        ("captions", lambda c: c.pop("images"), "captions_train2017.json has no picture. Is it"),
        ("captions", lambda c: c.update(annotations=[]), "captions_train2017.json has no sentence"),
        ("instances", lambda c: c.update(annotations=[]), "instances_train2017.json has no object"),
        ("instances", lambda c: c["categories"].pop(0), "object of the category 1, which it does"),
    ],
)
def test_read_coco_annotations_that_are_not_whole_raise(tree, kind, edit, message):
    change(tree / f"annotations/{kind}_train2017.json", edit)
    with pytest.raises(ValueError, match=message):
        read_coco(tree)


@pytest.mark.parametrize("content", ["<html>404</html>", '{"images": [{"file_name": "caf\xe9"}]}'])
def test_read_coco_something_else_raises_in_one_line(tree, content):
    path = tree / "annotations/captions_train2017.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"^\S*train2017\.json is no whole JSON file .lexical .+$"):
        read_coco(tree)


def test_read_coco_swapped_files_raise(tree):
    captions = tree / "annotations/captions_val2017.json"
    instances = tree / "annotations/instances_val2017.json"
    data = captions.read_bytes()
    captions.write_bytes(instances.read_bytes())
    instances.write_bytes(data)
    with pytest.raises(ValueError, match=r"captions_val2017.json lacks 'caption' .* swapped with"):
        read_coco(tree)


@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_read_coco_cut_file_raises_with_the_path(tree, keep):
    path = tree / "annotations/instances_train2017.json"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match=r"instances_train2017\.json is no whole JSON file"):
        read_coco(tree)


def test_read_coco_missing_partner_or_pictures_raise(tree):
    (tree / "annotations/instances_val2017.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no annotations/instances_val2017\.json below"):
        read_coco(tree)
    with pytest.raises(FileNotFoundError, match=r"no annotations/captions_train2014\.json below"):
        read_coco(tree, 2014)
    (tree / "train2017").rename(tree / "pictures")
    with pytest.raises(
        FileNotFoundError, match=r"no picture of train2017/ .* take its annotations"
    ):
        read_coco(tree)


def test_check_coco_counts_and_names(tree):
    (tree / "val2017/000000001003.jpg").unlink()
    made_downloads.write(tree / "val2017/copy.jpg", b"")
    found = {each.part: each for each in check_coco(tree, 2017)}
    assert found["val2017: picture files"].missing == ("000000001003.jpg",)
    assert found["val2017: picture files"].extra == ("copy.jpg",)
    assert found["train2017: picture files"].is_right
    assert found["train2017: categories"].is_right
    assert found["train2017: sentences"].found == 200
    assert found["train2017: sentences"].expected == 591_753
