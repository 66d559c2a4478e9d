"""Whole runs on a few drawn pictures: what is there at the end, and after a kill."""

import json
import signal

import numpy as np
import pytest
from eager_steps import eager_steps
from fresh_process import run_fresh, start_fresh
from untimed_history import untimed_history

from udsph_tf.config import override, to_toml
from udsph_tf.data.splits import read_split
from udsph_tf.training import RunFolder, evaluate, fit, fitting
from udsph_tf.training.callbacks import AfterEpoch, Validation
from udsph_tf.training.coding import Coder
from udsph_tf.training.fitting import _train_label_net
from udsph_tf.training.material import prepare, run_pairs

EAGER = """
from eager_steps import eager_steps
eager_steps()
"""

RESUME = """
from udsph_tf.config import load_config
from udsph_tf.training import fit
fit(load_config("config.toml"), "run", "cache", resume=True)
"""

# Killed from within, so that it may run beside the tests.
FIT_AND_DIE = """
import json, os, pathlib, signal, threading, time
from udsph_tf.config import load_config
from udsph_tf.training import fit

def die_after_an_epoch():
    state = pathlib.Path("run", "state.json")
    while not state.is_file() or not json.loads(state.read_text())["epoch"]:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=die_after_an_epoch, daemon=True).start()
fit(load_config("config.toml"), "run", "cache")
"""


@pytest.fixture(scope="module")
def finished_run(make_config, tmp_path_factory):
    """A whole run, its steps eager, and its cache. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        eager_steps(patch.setattr)
        return fit(make_config(), folder / "run", folder / "cache"), folder / "cache"


# --- A whole run ---


def test_fit_leaves_the_files_of_a_finished_run(finished_run):
    run, _ = finished_run
    names = {path.name for path in run.path.iterdir()}
    assert names >= {
        "checkpoints",
        "config.toml",
        "history.jsonl",
        "image_encoder.keras",
        "labels.json",
        "model.keras",
        "problems.json",
        "run.json",
        "split.json",
        "state.json",
        "tensorboard",
        "text_encoder.keras",
        "versions.json",
        "vocabulary.txt",
    }
    assert not [name for name in names if ".tmp" in name]
    finished = run.require_finished()
    lines = untimed_history(run)
    assert [(line["epoch"], line["stage"]) for line in lines] == [
        (1, "separate"),
        (2, "separate"),
        (3, "joint"),
        (4, "joint"),
        (5, "refine"),
        (6, "refine"),
    ]
    statistics = {f"{m}_bit_{s}" for m in ("image", "text") for s in ("balance", "correlation")}
    assert all(statistics <= line.keys() for line in lines)
    # A cosine over both stages of the whole hashers, at its end, and one over the last stage.
    assert lines[3]["learning_rate"] == pytest.approx(0, abs=1e-8)
    assert lines[4]["learning_rate"] == pytest.approx(1.5e-3)
    assert lines[5]["learning_rate"] == pytest.approx(0, abs=1e-8)
    means = [(line["image_to_text"] + line["text_to_image"]) / 2 for line in lines]
    assert finished["validation_map"] == finished["validation_score"] == max(means)
    assert [line["score"] for line in lines] == pytest.approx(means)
    assert finished["best_epoch"] == 1 + int(np.argmax(means))
    assert run.read_json("labels") == [
        *(f"colour={each}" for each in ("blue", "green", "red")),
        *(f"shape={each}" for each in ("circle", "square", "triangle")),
    ]
    assert run.read_json("problems") == []
    split = read_split(run.split)
    assert {role: len(ids) for role, ids in split.roles.items()} == {
        "train": 48,
        "database": 0,
        "validation": 6,
        "query": 6,
    }


def test_fit_joint_epochs_alone_have_the_joint_terms(finished_run):
    lines = untimed_history(finished_run[0])
    joint = {"adversarial", "local", "image_discriminator", "text_discriminator"}
    for line in lines:
        assert (joint <= line.keys()) == (line["stage"] == "joint")
        assert bool(joint & line.keys()) == (line["stage"] == "joint")
    assert lines[3]["loss"] < lines[0]["loss"]


def test_fit_saved_encoders_write_the_codes_of_the_saved_model(finished_run, make_config):
    run, cache = finished_run
    material = prepare(make_config(), run, cache)
    model = run.load()
    for modality, inputs in (("image", material.image), ("text", material.text)):
        hasher = getattr(model, f"{modality}_hasher")
        few = inputs.take(np.arange(7))
        (array,) = few.batch(np.arange(7)).values()
        encoder = run.load(f"{modality}_encoder")
        logits = np.array(encoder(array, training=False)["hash_logits"])
        packed = Coder(hasher).packed(few)
        np.testing.assert_array_equal(np.packbits(logits >= 0, axis=1), packed)


def test_fit_on_a_finished_run_is_an_error_and_resuming_it_changes_nothing(
    finished_run, make_config
):
    run, cache = finished_run
    with pytest.raises(FileExistsError, match="--resume"):
        fit(make_config(), run.path, cache)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    fit(make_config(), run.path, cache, resume=True)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_run_pairs_are_those_of_the_run(finished_run, make_config):
    run, cache = finished_run
    pairs = run_pairs(run)
    expected = prepare(make_config(), run, cache).pairs
    assert pairs.checksum() == expected.checksum()
    assert pairs.roles.tolist() == expected.roles.tolist()


# --- Evaluation ---


def test_evaluate_writes_results_and_plots(finished_run):
    run, cache = finished_run
    results = evaluate(run, cache)
    written = json.loads(run.results.read_text(encoding="utf-8"))
    assert written["summary"] == results["summary"]
    assert written["counts"] == {"train": 48, "database": 48, "query": 6}
    across = {"image_to_text", "text_to_image"}
    assert set(written["directions"]) == across | {"image_to_item", "text_to_item"}
    assert written["shorter"] == {}
    for name in across:
        recall = written["directions"][name]["own_item_recall_at_k"]
        assert 0 <= recall["1"] <= recall["10"] <= 1
    for direction in written["summary"].values():
        low, high = direction["map_interval"]
        assert 0 <= low <= direction["map"] <= high <= 1
    plots = {path.name for path in (run.path / "plots").iterdir()}
    assert plots == {"precision_recall.png", "precision_at_k.png", "precision_by_radius.png"}


def test_evaluate_validation_repeats_the_score_that_selected_the_epoch(finished_run):
    run, cache = finished_run
    results = evaluate(run, cache, role="validation", within=True)
    assert (run.path / "results_validation.json").is_file()
    assert (run.path / "plots_validation").is_dir()
    assert {"image_to_image", "text_to_text"} <= set(results["directions"])
    maps = [results["summary"][name]["map"] for name in ("image_to_text", "text_to_image")]
    assert sum(maps) / 2 == pytest.approx(run.require_finished()["validation_map"], abs=1e-9)


def test_evaluate_unseen_kinds_ask_by_themselves(finished_run):
    run, cache = finished_run
    pairs = run_pairs(run)
    shapes = [each for each in pairs.label_names if each.startswith("shape=")]
    asking = pairs.labels[pairs.indices("query")]
    try:
        for kinds in (shapes, shapes[:1]):
            run.write_json("unseen", kinds)
            results = evaluate(run, cache)
            columns = [pairs.label_names.index(each) for each in kinds]
            direction = results["unseen"]["directions"]["image_to_text"]
            assert direction["num_queries"] == asking[:, columns].any(axis=1).sum() > 0
            if kinds == shapes:
                assert direction["map"] == results["summary"]["image_to_text"]["map"]
    finally:
        (run.path / "unseen.json").unlink()
        evaluate(run, cache)


def test_evaluate_nested_run_scores_every_length(make_config, tmp_path, eagerly):
    config = override(
        make_config(),
        {
            "loss": {"nested": "8,16"},
            "training": {
                "label_epochs": 1,
                "separate_epochs": 1,
                "joint_epochs": 0,
                "refine_epochs": 0,
                "refine_mixup": 0.0,
            },
        },
    )
    run = fit(config, tmp_path / "run", tmp_path / "cache")
    results = evaluate(run, tmp_path / "cache")
    assert results["num_bits"] == 16 and set(results["shorter"]) == {"8"}
    assert results["shorter"]["8"]["image_to_text"]["num_bits"] == 8
    assert results["directions"]["image_to_text"]["num_bits"] == 16


def test_fit_mixes_items_in_the_last_stage_alone(make_config, tmp_path, monkeypatch, eagerly):
    short = {"label_epochs": 1, "separate_epochs": 1, "joint_epochs": 1, "refine_epochs": 1}
    make, mixed = fitting.pair_batches, []

    def batches(*inputs, mixup, **options):
        mixed.append(mixup)
        return make(*inputs, mixup=mixup, **options)

    monkeypatch.setattr(fitting, "pair_batches", batches)
    config = override(make_config(), {"training": {**short, "refine_mixup": 0.5}})
    fit(config, tmp_path / "run", tmp_path / "cache")
    assert mixed == [0, 0, 0.5]


def test_evaluate_unknown_role_is_an_error(finished_run):
    with pytest.raises(ValueError, match="`role` must be one of .* Received: role='train'"):
        evaluate(*finished_run, role="train")


def test_evaluate_unfinished_run_is_an_error(make_config, tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(make_config(), resume=False)
    with pytest.raises(FileNotFoundError, match="has not ended"):
        evaluate(run, tmp_path / "cache")


# --- Killed and resumed ---


def test_fit_killed_and_resumed_ends_as_if_never_killed(finished_run, make_config, tmp_path):
    check_killed_and_resumed(make_config(), finished_run[0], tmp_path, EAGER)


@pytest.mark.slow
def test_fit_as_graphs_killed_and_resumed_ends_as_if_never_killed(make_config, tmp_path):
    expected = fit(make_config(), tmp_path / "whole", tmp_path / "cache")
    (tmp_path / "killed").mkdir()
    check_killed_and_resumed(make_config(), expected, tmp_path / "killed")


def check_killed_and_resumed(config, expected, folder, begin=""):
    """Kill a run after its first whole epoch, resume it, and compare it with one never killed."""
    (folder / "config.toml").write_text(to_toml(config), encoding="utf-8")
    process = start_fresh(begin + FIT_AND_DIE, folder)
    process.join(timeout=180)
    assert process.exitcode == -signal.SIGKILL
    killed_run = RunFolder(folder / "run")
    done = killed_run.read_json("state")["epoch"]
    with pytest.raises(FileNotFoundError, match="--resume"):
        killed_run.require_finished()
    run_fresh(begin + RESUME, folder)
    assert 1 <= done < 6
    lines, expected_lines = untimed_history(killed_run), untimed_history(expected)
    assert [line.keys() for line in lines] == [line.keys() for line in expected_lines]
    for line, expected_line in zip(lines, expected_lines, strict=True):
        assert line["stage"] == expected_line["stage"]
        for name in line.keys() - {"stage"}:
            assert line[name] == pytest.approx(expected_line[name], rel=1e-5), (name, line["epoch"])
    assert killed_run.read_json("split") == expected.read_json("split")
    finished, expected_finished = killed_run.require_finished(), expected.require_finished()
    assert finished["best_epoch"] == expected_finished["best_epoch"]
    model, expected_model = killed_run.load(), expected.load()
    for one, two in zip(model.variables, expected_model.variables, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5, err_msg=one.path)


class Killed(BaseException):
    """What no `except` of the library catches."""


def test_fit_killed_in_a_step_and_resumed_with_every_option_ends_as_if_never_killed(
    draw_pictures, make_config, tmp_path, monkeypatch, eagerly
):
    config = make_config(
        {
            "data": {"root": str(draw_pictures(tmp_path / "pictures", 24))},
            "image": {"trainable": False},
            "training": {
                "batch_size": 8,
                "schedule": "linear",
                "warmup_epochs": 1,
                "optimizer": "adamw",
                "weight_decay": 0.01,
                "gradient_clip": 1.0,
                "early_stopping": 2,
                "precision": "mixed_float16",
                "separate_epochs": 2,
                "joint_epochs": 6,
                "refine_epochs": 1,
            },
        }
    )
    # Scores that end the joint stage early, after epoch 4; the best epoch is the second.
    scores = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.5, 5: 0.5}

    def scored(self):
        score = scores[len(self._seen) + 1]
        self._seen.append(score)
        return {"score": score, "image_to_text": score, "text_to_image": score}

    def fit_with(resumed_after, *args, **kwargs):
        monkeypatch.setattr(Validation, "_seen", [0.0] * resumed_after, raising=False)
        return fit(*args, **kwargs)

    monkeypatch.setattr(Validation, "__call__", scored)
    expected = fit_with(0, config, tmp_path / "whole", tmp_path / "cache")

    on_step = AfterEpoch.on_train_batch_end

    def die(self, batch, logs=None):
        on_step(self, batch, logs)
        if self._state.epoch == 3 and batch == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(AfterEpoch, "on_train_batch_end", die)
        with pytest.raises(Killed):
            fit_with(0, config, tmp_path / "killed", tmp_path / "cache")
    run = fit_with(3, config, tmp_path / "killed", tmp_path / "cache", resume=True)

    lines, expected_lines = untimed_history(run), untimed_history(expected)
    assert [line["epoch"] for line in expected_lines] == [1, 2, 3, 4, 5]
    assert len(lines) == len(expected_lines)
    for line, expected_line in zip(lines, expected_lines, strict=True):
        for name in expected_line.keys() - {"stage"}:
            assert line[name] == pytest.approx(expected_line[name], rel=1e-5), (name, line["epoch"])
    # On the way down, and stopped half-way.
    rates = [line["learning_rate"] for line in lines]
    assert 0.3e-3 < rates[3] < max(rates) <= 1.001e-3
    assert run.require_finished()["best_epoch"] == 2
    one, two = run.load(), expected.load()
    for left, right in zip(one.variables, two.variables, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5, err_msg=left.path)
    # Trained in half precision, saved without a trace of it.
    for name in ("image_encoder", "text_encoder"):
        encoder = run.load(name)
        assert {layer.dtype_policy.name for layer in encoder._flatten_layers()} == {"float32"}
    # Killed after its last epoch, before the encoders were written: nothing is left to train.
    (run.path / "run.json").unlink()
    again = fit_with(4, config, run.path, tmp_path / "cache", resume=True)
    assert untimed_history(again) == lines


# --- Frozen bodies, few items, bad items ---


def test_fit_with_a_frozen_image_body_and_fewer_items_than_a_batch(
    draw_pictures, make_config, tmp_path, eagerly
):
    folder = draw_pictures(tmp_path / "pictures", 24)
    (folder / "05.png").write_bytes((folder / "05.png").read_bytes()[:60])
    config = make_config(
        {
            "data": {"root": str(folder)},
            "image": {"trainable": False},
            "training": {
                "batch_size": 64,
                "separate_epochs": 1,
                "joint_epochs": 0,
                "refine_epochs": 0,
                "refine_mixup": 0.0,
            },
        }
    )
    run = fit(config, tmp_path / "run", tmp_path / "cache")
    (problem,) = run.read_json("problems")
    assert problem["id"] == "05.png"
    assert problem["reason"].startswith("cannot be decoded")
    # 23 usable items: two of each held-back role, 19 to train on, one step.
    assert len(read_split(run.split).roles["train"]) == 19
    assert [line["epoch"] for line in untimed_history(run)] == [1]
    results = evaluate(run, tmp_path / "cache")
    assert results["counts"]["query"] == 2
    # The saved encoder starts at pixels, though training read cached maps.
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    assert run.load("image_encoder")(pixels, training=False)["hash"].shape == (1, 16)


def test_fit_bad_items_error_stops_before_training(draw_pictures, make_config, tmp_path):
    folder = draw_pictures(tmp_path / "pictures", 24)
    (folder / "05.png").write_bytes(b"")
    config = make_config({"data": {"root": str(folder), "bad_items": "error"}})
    with pytest.raises(ValueError, match=r"1 unusable items:\n  05.png: the file is empty"):
        fit(config, tmp_path / "run", tmp_path / "cache")
    assert not (tmp_path / "run" / "state.json").exists()


def test_fit_resumed_on_changed_data_is_an_error(draw_pictures, make_config, tmp_path):
    folder = draw_pictures(tmp_path / "pictures", 24)
    config = make_config({"data": {"root": str(folder)}})
    run = RunFolder(tmp_path / "run")
    run.begin(config, resume=False)
    prepare(config, run, tmp_path / "cache")
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("red", "pink"), "utf-8")
    with pytest.raises(ValueError, match="The split was made of other data"):
        prepare(config, run, tmp_path / "cache")


def test_train_label_net_loss_that_is_not_finite_is_an_error(make_model, make_config):
    model = make_model()
    model.compile(stage="label", run_eagerly=True)
    anchors = np.full((3, 5), np.nan, np.float32)
    config = make_config({"training": {"label_epochs": 1}})
    message = "in the label net's stage, epoch 1, step 1: the loss term classification, code_sim"
    with pytest.raises(FloatingPointError, match=message):
        _train_label_net(config, model, anchors)
