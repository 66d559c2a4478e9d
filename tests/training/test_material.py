"""What preparing a run writes into its folder and the cache, and what a failed one leaves."""

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


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"data": {"num_query": 58}}, "60 items cannot give 58 query"),
        ({"data": {"split": "absent.json"}}, "There is no split absent.json"),
    ],
)
def test_prepare_split_that_cannot_be_made_is_found_before_a_picture_is_read(
    make_config, tmp_path, monkeypatch, tables, message
):
    monkeypatch.setattr(material, "prepare_images", None)
    run = RunFolder(tmp_path / "run")
    config = make_config(tables)
    run.begin(config, resume=False)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        prepare(config, run, tmp_path / "cache")


@pytest.mark.parametrize("policy", ["skip", "error"])
def test_prepare_that_fails_for_its_pictures_leaves_no_cache(
    make_config, draw_pictures, tmp_path, policy
):
    root = draw_pictures(tmp_path / "pictures", 20)
    paths = sorted(root.glob("*.png"))
    for path in paths if policy == "skip" else paths[:1]:
        path.write_bytes(b"")
    config = make_config({"data": {"bad_items": policy}}, root=root)
    run = RunFolder(tmp_path / "run")
    run.begin(config, resume=False)
    message = "No usable item is left" if policy == "skip" else "00.png: the file is empty"
    with pytest.raises(ValueError, match=message):
        prepare(config, run, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    run.begin(config, resume=False)  # it may be begun anew
