import builtins
import shutil

import numpy as np
import pytest

from udsph_tf.data import make_split
from udsph_tf.data.wikipedia import read_wikipedia

FILES = (
    "raw_features.mat",
    "trainset_txt_img_cat.list",
    "testset_txt_img_cat.list",
    "categories.list",
)


@pytest.fixture
def root(made_wikipedia, tmp_path):
    """A small made folder of the layout, to be changed."""
    return shutil.copytree(made_wikipedia, tmp_path / "wikipedia")


@pytest.fixture
def save(root):
    """Function that writes the features again, with variables changed or left out (None)."""
    from scipy.io import loadmat, savemat

    def write(**changes):
        old = {name: each for name, each in loadmat(root / FILES[0]).items() if name[0] != "_"}
        new = {name: each for name, each in {**old, **changes}.items() if each is not None}
        savemat(root / FILES[0], new)
        return root

    return write


def test_read_wikipedia_rows_become_pairs_of_vectors_with_fixed_query_items(root):
    pairs, problems = read_wikipedia(str(root))
    assert problems == []
    assert pairs.name == "wikipedia"
    assert pairs.images.shape == (80, 12)
    assert pairs.texts.shape == (80, 4)
    assert pairs.images.dtype == pairs.texts.dtype == np.float32
    assert pairs.label_names == ("art", "media", "sport")
    assert (pairs.labels.sum(axis=1) == 1).all()
    assert pairs.roles.tolist() == ["database"] * 60 + ["query"] * 20
    # The made lists name items by their row, and take categories in turn.
    assert pairs.ids[[0, 59, 60]].tolist() == ["train-0", "train-59", "test-0"]
    named = [pairs.label_names[row.argmax()] for row in pairs.labels[:4]]
    assert named == ["art", "media", "sport", "art"]


def test_read_wikipedia_query_of_any_split_is_the_test_set(root):
    pairs, _ = read_wikipedia(root)
    test = {f"test-{row}" for row in range(20)}
    for seed, number in ((0, -1), (1, 7)):
        split = make_split(pairs, num_validation=number, seed=seed)
        assert set(split.roles["query"]) == test
        assert len(split.roles["validation"]) == max(0, number)
        assert len(split.roles["train"]) == 60 - max(0, number)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["I_tr", "T_te"])
def test_read_wikipedia_row_that_is_not_finite_is_a_problem(save, name, value):
    changed = np.ones((60, 12)) if name == "I_tr" else np.ones((20, 4))
    changed[3, 1] = value
    pairs, problems = read_wikipedia(save(**{name: changed}))
    item = "train-3" if name == "I_tr" else "test-3"
    assert [(each.id, each.reason) for each in problems] == [(item, "a feature is infinite or NaN")]
    assert len(pairs) == 79
    assert item not in pairs.ids


def test_read_wikipedia_folder_above_and_windows_line_ends_are_read(root):
    path = root / FILES[1]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert len(read_wikipedia(root.parent)[0]) == 80


def test_read_wikipedia_same_id_twice_raises_with_the_lists(root):
    path = root / FILES[1]
    path.write_text(path.read_text().replace("train-3\t", "train-4\t"))
    with pytest.raises(ValueError, match=r"trainset_txt_img_cat\.list .*duplicate ids: train-4"):
        read_wikipedia(root)


def test_read_wikipedia_empty_categories_raise(root):
    (root / FILES[3]).write_text("\n")
    with pytest.raises(ValueError, match=r"categories\.list is empty. Download it again"):
        read_wikipedia(root)


@pytest.mark.parametrize("name", FILES)
def test_read_wikipedia_missing_file_raises_with_its_name(root, name):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"There is no .*{name}.* `--root` must be"):
        read_wikipedia(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T_te": None}, r"raw_features\.mat lacks the variable T_te"),
        (
            {"I_tr": np.ones((59, 12))},
            r"I_tr has 59 rows, but \S+/trainset_txt_img_cat.list has 60",
        ),
        ({"T_te": np.ones((21, 4))}, r"T_te has 21 rows, but \S+/testset_txt_img_cat.list has 20"),
        ({"I_te": np.ones((20, 11))}, r"I_tr and I_te must be equally wide. .*\[12, 11\]"),
        ({"I_tr": np.array(["a"])}, "I_tr must be a matrix of numbers. Received: .*dtype=<U"),
    ],
)
def test_read_wikipedia_features_that_do_not_fit_raise(save, changes, message):
    with pytest.raises(ValueError, match=message):
        read_wikipedia(save(**changes))


def test_read_wikipedia_matlab_7_3_raises_with_the_remedy(root):
    # The first bytes of such a file, which is HDF5 behind them.
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (root / FILES[0]).write_bytes(head + bytes(400))
    with pytest.raises(ValueError, match=r"raw_features\.mat is of MATLAB 7\.3.* Save it with -v7"):
        read_wikipedia(root)


@pytest.mark.parametrize("keep", [0, 100, 200, 2000])
def test_read_wikipedia_cut_features_raise_with_the_path(root, keep):
    data = (root / FILES[0]).read_bytes()
    (root / FILES[0]).write_bytes(data[:keep])
    with pytest.raises(ValueError, match=r"raw_features\.mat (is not a whole|lacks the variable)"):
        read_wikipedia(root)


@pytest.mark.parametrize("line", ["a b", "a b 4", "a b 0", "a b art", "a b 1 2", "", "a b ²"])
def test_read_wikipedia_line_that_is_no_item_raises_with_its_number(root, line):
    path = root / FILES[1]
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"trainset_txt_img_cat\.list, line 2: must be a text"):
        read_wikipedia(root)


def test_read_wikipedia_without_scipy_raises_with_the_pip_command(root, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"`wikipedia` .*pip install 'udsph-tf\[matlab\]'"):
        read_wikipedia(root)


def test_read_wikipedia_real_data_has_the_known_numbers(real_data):
    pairs, problems = read_wikipedia(real_data("wikipedia"))
    assert (len(pairs), problems) == (2866, [])
    assert (pairs.images.shape[1], pairs.texts.shape[1], len(pairs.label_names)) == (128, 10, 10)
    np.testing.assert_allclose(pairs.images.sum(axis=1), 1, atol=1e-5)
    split = make_split(pairs, num_validation=-1)
    assert len(split.roles["train"]) == 2173
    assert set(split.roles["query"]) == set(pairs.ids[2173:])
    # Warfare and history are the largest categories of the article's table, 451 and 333 items.
    counts = dict(zip(pairs.label_names, pairs.labels.sum(axis=0).tolist(), strict=True))
    assert (counts["warfare"], counts["history"]) == (451, 333)
