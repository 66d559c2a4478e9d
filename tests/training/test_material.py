"""Unseen kinds in a run: what `data.unseen_kinds` does to its folder."""

import pytest

from udsph_tf.data.splits import read_split
from udsph_tf.training import RunFolder, material
from udsph_tf.training.material import prepare, run_pairs


@pytest.fixture
def prepared(make_config, tmp_path, monkeypatch):
    """Function from a number of unseen shapes to a run and its material."""
    monkeypatch.setattr(material, "KIND_GROUP", "shape")
    monkeypatch.setattr(material, "MIN_KIND_ITEMS", 1)

    def prepared(number, name="run"):
        config = make_config({"data": {"unseen_kinds": number}})
        run = RunFolder(tmp_path / name)
        run.begin(config, resume=name == "run")
        return run, prepare(config, run, tmp_path / "cache")

    return prepared


def test_prepare_unseen_kinds_are_written_and_not_trained_on(prepared):
    run, made = prepared(1)
    (name,) = run.read_json("unseen")
    assert name.startswith("shape=")
    pairs = made.pairs
    of_kind = pairs.labels[:, pairs.label_names.index(name)].astype(bool)
    assert of_kind[pairs.indices("database")].any()
    assert not of_kind[pairs.indices("train")].any()
    # The word is not in the vocabulary, which comes from training texts.
    assert name.removeprefix("shape=") not in run.vocabulary.read_text().split("\n")
    assert run_pairs(run).roles.tolist() == pairs.roles.tolist()


def test_prepare_unseen_kinds_twice_is_the_same_split(prepared):
    run, _ = prepared(1)
    before = read_split(run.split)
    prepared(1)
    assert read_split(run.split) == before


def test_prepare_unseen_kinds_other_roles_are_those_of_a_run_without(prepared):
    plain, without = prepared(0, "plain")
    _, held_out = prepared(1)
    assert plain.read_json("unseen") is None
    for role in ("query", "validation", "database"):
        assert held_out.pairs.indices(role).tolist() == without.pairs.indices(role).tolist()


def test_prepare_unseen_kinds_without_such_labels_raises(make_config, tmp_path):
    config = make_config({"data": {"unseen_kinds": 1}})
    run = RunFolder(tmp_path / "run")
    run.begin(config, resume=False)
    with pytest.raises(ValueError, match=r"one of \['colour', 'shape'\]. Received: group='art"):
        prepare(config, run, tmp_path / "cache")
    run.begin(config, resume=False)  # nothing is lost: it may be begun anew
