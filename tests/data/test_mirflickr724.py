import zipfile

import numpy as np
import pytest

from udsph_tf.data import CATALOGUE, make_split
from udsph_tf.data.images import load_pixels, read_image
from udsph_tf.data.mirflickr724 import read_mirflickr724
from udsph_tf.data.tokenizer import Tokenizer, whole_word_vocabulary

ARRAYS = {
    "image_id": np.array([7, 21, 300]),
    "tags": np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0]], np.uint8),
    "labels": np.array([[1, 0], [0, 1], [1, 1]], np.uint8),
    "label_names": np.array(["sea", "sky"]),
}


@pytest.fixture
def tree(tmp_path, photo, encode):
    """Function that writes the layout, with some arrays changed or left out (None)."""

    def make(zipped=False, **changes):
        arrays = {name: each for name, each in {**ARRAYS, **changes}.items() if each is not None}
        np.savez(tmp_path / "tags_labels.npz", **arrays)
        data, names = encode(photo, "JPEG"), ["im7.jpg", "im21.jpg", "im300.jpg"]
        if zipped:
            with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
                for name in names:
                    archive.writestr(name, data)
        else:
            (tmp_path / "images").mkdir(exist_ok=True)
            for name in names:
                (tmp_path / "images" / name).write_bytes(data)
        return tmp_path

    return make


@pytest.mark.parametrize("zipped", [False, True])
def test_read_mirflickr724_rows_become_pairs_of_pseudo_words(tree, zipped):
    pairs, problems = read_mirflickr724(str(tree(zipped)))
    assert problems == []
    assert pairs.name == "mirflickr724"
    assert pairs.ids.tolist() == ["im7", "im21", "im300"]
    assert pairs.texts.tolist() == ["tag0000 tag0003", "tag0001", "tag0000 tag0001"]
    assert pairs.label_names == ("sea", "sky")
    assert pairs.labels.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert load_pixels(read_image(pairs.images[2]), 8).shape == (8, 8, 3)


def test_read_mirflickr724_item_without_tag_or_label_is_a_problem(tree):
    tags = np.array([[0, 0], [1, 0], [1, 1]])
    labels = np.array([[0, 0], [0, 0], [0, 1]])
    root = tree(tags=tags, labels=labels)
    pairs, problems = read_mirflickr724(root)
    assert pairs.ids.tolist() == ["im300"]
    path = root / "tags_labels.npz"
    assert [(each.id, each.source, each.reason) for each in problems] == [
        ("im7", f"{path}, row 0", "the item has no tag"),
        ("im21", f"{path}, row 1", "the item has no label"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": None}, r"npz cannot be used: it lacks the array tags; it has \['image_id'"),
        (
            {"label_names": np.array(["sea", {}], object)},
            r"npz cannot be used: .*allow_pickle=False",
        ),
        ({"tags": np.ones(3)}, r"`tags` must have 2 axes. Received: shape=\(3,\)"),
        ({"labels": np.ones((2, 2))}, "must have a row for each item. Received: .*'labels': 2"),
        ({"label_names": np.array(["sea"])}, "Received: 2 columns, 1 names"),
        ({"labels": np.full((3, 2), 2)}, "`labels` must hold only 0 and 1"),
        ({"image_id": np.array([7, 7, 8])}, "tags_labels.npz: duplicate ids: im7"),
    ],
)
def test_read_mirflickr724_arrays_that_do_not_fit_raise(tree, changes, message):
    with pytest.raises(ValueError, match=message):
        read_mirflickr724(tree(**changes))


def test_read_mirflickr724_missing_files_raise_with_their_names(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent. `--root` must"):
        read_mirflickr724(tmp_path / "absent")
    np.savez(tmp_path / "tags_labels.npz", **ARRAYS)
    with pytest.raises(FileNotFoundError, match=r"neither .*images/ nor .*images\.zip"):
        read_mirflickr724(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 300])
def test_read_mirflickr724_cut_or_empty_arrays_raise_with_the_path(tree, keep):
    path = tree() / "tags_labels.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"tags_labels\.npz cannot be used: "):
        read_mirflickr724(path.parent)


def test_read_mirflickr724_real_data_has_the_known_numbers(real_data):
    pairs, problems = read_mirflickr724(real_data("mirflickr"))
    assert (len(pairs), problems) == (724, [])
    assert pairs.labels.shape == (724, 24)
    assert pairs.labels.sum() == 2498
    assert sum(len(text.split()) for text in pairs.texts) == 3530
    sizes = CATALOGUE["mirflickr724"].defaults["data"]
    roles = make_split(pairs, **sizes).roles
    assert [len(roles[role]) for role in ("query", "validation", "train")] == [100, 74, 550]
    for source in pairs.images[::100]:
        assert load_pixels(read_image(source), 32).shape == (32, 32, 3)


def test_tokenizer_keeps_every_real_training_tag_as_one_piece(real_data):
    pairs, _ = read_mirflickr724(real_data("mirflickr"))
    texts = list(pairs.texts)
    defaults = CATALOGUE["mirflickr724"].defaults["text"]
    assert defaults["whole_words"]
    tokenizer = Tokenizer(whole_word_vocabulary(texts, 8000), defaults["max_tokens"])
    ids = tokenizer.encode(texts)
    unknown = tokenizer.vocabulary.index("[UNK]")
    for text, row in zip(texts, ids, strict=True):
        assert [tokenizer.vocabulary[each] for each in row if each] == text.split()
        assert unknown not in row
