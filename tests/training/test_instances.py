"""Runs on what the literature's data sets bring: several sentences an item, no labels, a split."""

import json

import made_downloads
import numpy as np
import pytest

from udsph_tf.config import Config, override
from udsph_tf.data import CATALOGUE
from udsph_tf.training import RunFolder, evaluate, fit
from udsph_tf.training.instances import recall_both_ways
from udsph_tf.training.material import prepare, run_pairs

TINY = {
    "image": {"body": "small_cnn", "size": 32, "pooling": "last", "trainable": True},
    "text": {"vocabulary_size": 100, "max_tokens": 10, "embedding_dim": 8},
    "network": {"num_bits": 16, "hidden_dim": 16, "feature_dim": 8, "local_dim": 8},
    "training": {
        "batch_size": 32,
        "label_epochs": 1,
        "separate_epochs": 1,
        "joint_epochs": 0,
        "refine_epochs": 1,
    },
}


def make_config(name, root, data=None, unlabelled=True):
    config = override(Config(), CATALOGUE[name].defaults)
    if unlabelled:
        config = override(config, CATALOGUE[name].unlabelled)
    data = {"dataset": name, "root": str(root), **(data or {})}
    return override(config, {"data": data, **TINY})


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    root = tmp_path_factory.mktemp("captioned")
    return made_downloads.flickr8k(root / "flickr8k")


def test_recall_both_ways_a_picture_asks_once_and_is_found_once():
    codes = {
        "image": np.array([[0], [0], [255]], np.uint8),
        # Item 0 has two sentences: one beside its picture, one far away.
        "text": np.array([[1], [255], [254]], np.uint8),
    }
    nothing = {modality: each[:0] for modality, each in codes.items()}
    found = recall_both_ways(codes, nothing, np.array([0, 0, 1]), None, ks=[1, 2])
    # Picture 0 finds its first sentence first. Picture 1 finds a sentence of item 0 first.
    assert found["image_to_text"] == {"1": 0.5, "2": 1.0}
    # Sentences 1 and 3 find their picture first, sentence 2 as the second of two.
    assert found["text_to_image"]["1"] == pytest.approx(2 / 3)
    assert found["text_to_image"]["2"] == 1.0


def test_fit_without_labels_learns_and_measures_instances_alone(captioned, tmp_path, eagerly):
    config = make_config("flickr8k", captioned)
    run = fit(config, tmp_path / "run", tmp_path / "cache")
    measure, score = run.validation_score()
    assert measure == "mean recall@1,5,10"
    assert score == run.require_finished()["validation_score"]
    assert run.require_finished()["validation_map"] is None
    counts = json.loads(run.split.read_text())["counts"]
    assert counts == {"train": 26, "database": 0, "validation": 6, "query": 6}
    results = evaluate(run, tmp_path / "cache")
    assert results["relevance"] == "its own item"
    for each in results["directions"].values():
        assert each["map"] is None
        assert set(each["own_item_recall_at_k"]) == {"1", "5", "10"}


def test_prepare_data_set_without_labels_refuses_terms_that_ask_for_some(captioned, tmp_path):
    config = make_config("flickr8k", captioned, unlabelled=False)
    with pytest.raises(ValueError, match="has no labels: only loss.instance .* --set loss.code"):
        prepare(config, begin(tmp_path, config), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_prepare_texts_and_labels_alone_are_refused(tmp_path, matrices):
    config = make_config("dcmh", matrices)
    with pytest.raises(ValueError, match=r"texts and labels, but no pictures.*iall\.mat"):
        prepare(config, begin(tmp_path, config), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_prepare_published_split_of_items_with_several_sentences(tmp_path):
    root = made_downloads.coco(tmp_path / "coco", train=12, val=4)
    split = tmp_path / "split"
    made_downloads.write(split / "query.txt", "1001\n1002\n")
    made_downloads.write(split / "train.txt", "1\n2\n3\n4\n")
    made_downloads.write(split / "retrieval.txt", "1\n2\n3\n4\n5\n6\n7\n")
    data = {"captions": "each", "num_query": 0, "num_train": 0, "num_validation": 1}
    config = make_config("coco2017", root, {**data, "split": str(split)})
    run = begin(tmp_path, config)
    first = prepare(config, run, tmp_path / "cache")
    roles = json.loads(run.split.read_text())["counts"]
    assert roles == {"train": 4, "database": 2, "validation": 1, "query": 2}
    assert len(first.pairs) == len(first.image) == len(first.text) == 5 * 9
    assert (
        first.pairs.images[first.image.rows != first.image.rows[0]] != first.pairs.images[0]
    ).all()
    assert first.items.tolist() == np.repeat(np.arange(9), 5).tolist()
    # What is in the run folder is read again, without the items that the split leaves out.
    again = prepare(config, run, tmp_path / "cache")
    assert again.pairs.checksum() == first.pairs.checksum()
    assert len(run_pairs(run)) == 9


def test_prepare_failed_split_leaves_no_cache(tmp_path):
    root = made_downloads.coco(tmp_path / "coco", train=12, val=4)
    made_downloads.write(tmp_path / "split/query.txt", "77777\n")
    config = make_config("coco2017", root, {"split": str(tmp_path / "split")})
    with pytest.raises(ValueError, match="not among the 15 items of coco2017: 77777"):
        prepare(config, begin(tmp_path, config), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def matrices(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "x-yall.mat", {"YAll": np.eye(6)})
    savemat(tmp_path / "x-lall.mat", {"LAll": np.ones((6, 2))})
    return tmp_path


def begin(tmp_path, config):
    run = RunFolder(tmp_path / "run")
    run.begin(config, resume=False)
    return run
