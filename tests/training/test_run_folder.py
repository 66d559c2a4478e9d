import json

import pytest

from udsph_tf.config import Config, override
from udsph_tf.training import RunFolder
from udsph_tf.training.run_folder import versions


@pytest.fixture
def run(tmp_path):
    """A run that has begun and split its data."""
    run = RunFolder(tmp_path / "run")
    run.begin(Config(), resume=False)
    run.write_json("split", {})
    return run


def test_begin_writes_the_resolved_configuration_and_versions(run):
    assert run.config() == Config()
    assert run.read_json("versions") == versions()
    assert {"python", "tensorflow", "keras", "udsph-tf"} <= set(versions())
    assert run.checkpoint(3).parent.is_dir()
    assert run.checkpoint(3).name == "epoch-0003.weights.h5"


def test_begin_in_an_empty_folder_makes_the_run_there(tmp_path):
    RunFolder(tmp_path).begin(Config(), resume=False)
    assert (tmp_path / "config.toml").is_file()


def test_begin_again_is_an_error_that_names_resume(run):
    with pytest.raises(FileExistsError, match="exists. Choose another --out, or go on .* --resume"):
        run.begin(Config(), resume=False)


def test_begin_after_a_failure_before_the_split_begins_anew(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(Config(), resume=False)
    run.write_json("problems", [])
    changed = override(Config(), {"data": {"root": "right this time"}})
    run.begin(changed, resume=False)
    assert run.config() == changed


def test_begin_resume_of_the_same_configuration_is_fine(run):
    run.begin(Config(), resume=True)
    assert run.config() == Config()


def test_begin_resume_where_there_is_nothing_begins(tmp_path):
    run = RunFolder(tmp_path / "new")
    run.begin(Config(), resume=True)
    assert run.config() == Config()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("network", "num_bits", 128), ("data", "root", "elsewhere"), ("training", "seed", 5)],
)
def test_begin_resume_of_another_configuration_names_the_key(section, key, value, run):
    changed = override(Config(), {section: {key: value}})
    with pytest.raises(ValueError, match=rf"holds a run with another {section}\.{key} \("):
        run.begin(changed, resume=True)
    # Nothing was written over.
    assert run.config() == Config()


def test_begin_resume_in_a_folder_of_something_else_is_an_error(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="There is no config file"):
        RunFolder(tmp_path).begin(Config(), resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_require_finished_of_a_run_that_has_not_ended_names_resume(run):
    with pytest.raises(FileNotFoundError, match="has not ended. Go on with it: .* --resume"):
        run.require_finished()


def test_require_finished_of_no_run_says_what_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder; `udsph fit --out` makes one"):
        RunFolder(tmp_path / "none").require_finished()


def test_require_finished_gives_what_the_run_ended_with(run):
    run.write_json("run", {"best_epoch": 3})
    assert run.require_finished() == {"best_epoch": 3}


def test_read_json_of_an_absent_file_is_none_and_round_trips(run):
    assert run.read_json("labels") is None
    run.write_json("labels", ["ä", "b"])
    assert run.read_json("labels") == ["ä", "b"]
    assert json.loads((run.path / "labels.json").read_text(encoding="utf-8")) == ["ä", "b"]
