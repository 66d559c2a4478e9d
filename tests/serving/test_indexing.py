import dataclasses

import numpy as np
import pytest

from udsph_tf.data.images import read_image
from udsph_tf.search import open_index
from udsph_tf.serving import ImageEncoder, IndexOptions, TextEncoder, index_pairs


@pytest.fixture
def damaged(tiny_pairs, tmp_path):
    """Six pairs, of which two have a picture that cannot be used."""
    (tmp_path / "cut.png").write_bytes(read_image(tiny_pairs.images[1])[:60])
    pairs = tiny_pairs.take(np.arange(6))
    images = pairs.images.copy()
    images[2], images[4] = str(tmp_path / "gone.png"), str(tmp_path / "cut.png")
    return dataclasses.replace(pairs, images=images)


def test_index_pairs_of_a_collection_finds_every_item_by_its_own_code(
    tiny_index, tiny_export, tiny_pairs
):
    encoder = TextEncoder(tiny_export)
    index = open_index(tiny_index, model_checksum=encoder.model_checksum)
    assert len(index) == 84
    assert index.num_bits == 16
    assert index.metadata == {"dataset": "manifest", "left_out": []}
    hits = index.search(encoder.encode(tiny_pairs.texts[:5]), "text", k=1)
    assert [row[0].distance for row in hits] == [0] * 5
    images = ImageEncoder(tiny_export).encode([read_image(tiny_pairs.images[7])])
    (hits,) = index.search(images, "image", k=84)
    assert hits[0].distance == 0
    assert tiny_pairs.ids[7] in {hit.item.id for hit in hits if hit.distance == 0}


def test_index_pairs_finds_pictures_that_fit_the_words(tiny_index, tiny_export):
    # By chance a third of the hits would be circles; this run is too short for more than this.
    encoder = TextEncoder(tiny_export)
    (hits,) = open_index(tiny_index).search(encoder.encode(["a red circle"]), "image", k=10)
    fitting = [hit for hit in hits if {"red", "circle"} & set(hit.item.text.split())]
    assert len(fitting) >= 6


def test_index_pairs_leaves_out_unusable_pictures_and_names_them(
    damaged, tiny_export, tmp_path, caplog
):
    number, problems = index_pairs(damaged, tiny_export, tmp_path / "index")
    assert number == 4
    assert [each.id for each in problems] == ["002", "004"]
    assert [each.source for each in problems] == [damaged.images[2], damaged.images[4]]
    assert problems[0].reason == "the file does not exist"
    assert "cannot be decoded" in problems[1].reason
    assert "2 items with an unusable picture are left out" in caplog.text
    index = open_index(tmp_path / "index")
    assert [item.id for item in index.items] == ["000", "001", "003", "005"]
    assert [each["id"] for each in index.metadata["left_out"]] == ["002", "004"]
    # The codes are those of the items that stayed.
    packed = TextEncoder(tiny_export).encode(damaged.texts[[0, 1, 3, 5]])
    for row, hits in enumerate(index.search(packed, "text", k=4)):
        assert index.items[row].id in {hit.item.id for hit in hits if hit.distance == 0}


def test_index_pairs_without_a_usable_picture_is_an_error(damaged, tiny_export, tmp_path):
    with pytest.raises(ValueError, match="No item has a usable picture"):
        index_pairs(damaged.take([2, 4]), tiny_export, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_index_pairs_of_no_pairs_is_an_error(tiny_pairs, tiny_export, tmp_path):
    with pytest.raises(ValueError, match="there is nothing to index"):
        index_pairs(tiny_pairs.take([]), tiny_export, tmp_path / "index")


def test_index_pairs_to_an_existing_folder_is_refused_before_encoding(tiny_pairs, tmp_path, capsys):
    (tmp_path / "index").mkdir()
    # Not even the export is looked for: there is none.
    with pytest.raises(FileExistsError, match="index exists. Choose another folder, or pass"):
        index_pairs(tiny_pairs, tmp_path / "absent", tmp_path / "index")
    assert capsys.readouterr().err == ""


def test_index_pairs_with_overwrite_replaces_an_index_and_nothing_else(
    tiny_pairs, tiny_export, tmp_path
):
    two = tiny_pairs.take(np.arange(2))
    index_pairs(tiny_pairs.take(np.arange(3)), tiny_export, tmp_path / "index")
    index_pairs(two, tiny_export, tmp_path / "index", options=IndexOptions(overwrite=True))
    assert len(open_index(tmp_path / "index")) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="is not an index"):
        index_pairs(two, tiny_export, tmp_path / "mine", options=IndexOptions(overwrite=True))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"index", ".index.lock", "mine"}


def test_index_of_another_model_is_refused_to_an_encoder(tiny_index):
    with pytest.raises(ValueError, match="index was built by another model"):
        open_index(tiny_index, model_checksum="0" * 64)
