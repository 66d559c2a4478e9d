"""Whole runs whose frozen bodies go on learning: what moves, what is saved, and after a kill."""

import signal

import numpy as np
import pytest
from eager_steps import eager_steps
from fresh_process import run_fresh, start_fresh
from untimed_history import untimed_history

from udsph_tf.config import to_toml
from udsph_tf.export import export
from udsph_tf.export.verification import compare_codes, reference_codes
from udsph_tf.litert import LiteRTModel, convert_model
from udsph_tf.networks.cut import cut
from udsph_tf.networks.encoder import code_writer, hash_writer
from udsph_tf.training import RunFolder, evaluate, fit, fitting
from udsph_tf.training.coding import Coder
from udsph_tf.training.finetuning import prepare_finetuning
from udsph_tf.training.material import prepare, run_pairs
from udsph_tf.training.run_folder import text_tokenizer

TABLES = {
    "image": {"trainable": False},
    "text": {"trainable": False},
    "training": {
        # So little that the stage, and with it the epoch that is kept, is sure to better it.
        "learning_rate": 1e-6,
        "separate_epochs": 1,
        "joint_epochs": 1,
        "refine_epochs": 1,
        "finetune": "both",
        "finetune_epochs": 3,
        "finetune_learning_rate": 1e-3,
        "finetune_from": "block3",
    },
}

# One epoch of the hashers, one of fine-tuning.
SHORT = {
    **TABLES["training"],
    "joint_epochs": 0,
    "finetune_epochs": 1,
    "refine_epochs": 0,
    "refine_mixup": 0.0,
}

RESUME = """
from eager_steps import eager_steps
eager_steps()
from udsph_tf.config import load_config
from udsph_tf.training import fit
fit(load_config("config.toml"), "run", "cache", resume=True)
"""

# Killed from within, after the first epoch of the stage.
FIT_AND_DIE = """
from eager_steps import eager_steps
eager_steps()
import json, os, pathlib, signal, threading, time
from udsph_tf.config import load_config
from udsph_tf.training import fit

def die_in_the_stage():
    state = pathlib.Path("run", "state.json")
    while not state.is_file() or json.loads(state.read_text())["epoch"] < 3:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=die_in_the_stage, daemon=True).start()
fit(load_config("config.toml"), "run", "cache")
"""


@pytest.fixture(scope="module")
def config(make_config):
    return make_config(TABLES)


@pytest.fixture(scope="module")
def tuned_run(config, tmp_path_factory):
    """A finished run whose bodies were fine-tuned, the image's from a block on; and its cache."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        eager_steps(patch.setattr)
        return fit(config, folder / "run", folder / "cache"), folder / "cache"


# --- A whole run ---


def test_fit_finetune_is_a_stage_with_every_term_that_betters_a_random_body(tuned_run):
    run, _ = tuned_run
    lines = untimed_history(run)
    stages = [line["stage"] for line in lines]
    assert stages == ["separate", "joint", "finetune", "finetune", "finetune", "refine"]
    assert lines[4].keys() == lines[1].keys()
    assert lines[4]["loss"] < lines[1]["loss"]
    assert run.require_finished()["finetuned"]


def test_fit_finetune_goes_on_counting_the_steps_of_the_adversarial_ramp(tuned_run):
    run, _ = tuned_run
    lines = [line for line in run.read_history() if line["stage"] != "refine"]
    best = max(lines, key=lambda line: line["score"])
    assert best["stage"] == "finetune"
    steps = len(run_pairs(run).indices("train")) // run.config().training.batch_size
    # The stage goes on from the better of the epochs before it, of which the second is joint.
    before = max(lines[:2], key=lambda line: line["score"])["epoch"]
    assert float(run.load().joint_steps) == steps * (before - 1 + best["epoch"] - 2)


def test_fit_finetune_moves_kernels_of_the_upper_part_alone(tuned_run, config):
    run, cache = tuned_run
    frozen = prepare(config, run, cache).bodies
    tuned = dict(_layers(run.load("image_encoder")))
    moved = {
        f"{layer.name}/{weight.name}"
        for layer in frozen.image.layers
        for weight, found in zip(layer.weights, tuned[layer.name].weights, strict=True)
        if (weight.numpy() != found.numpy()).any()
    }
    assert moved == {f"block{n}_{step}_conv/kernel" for n in (3, 4) for step in (1, 2)}
    embedding = dict(_layers(run.load("text_encoder")))["embedding"].weights[0]
    assert (embedding.numpy() != frozen.text.weights[0].numpy()).any()


def test_fit_finetune_saved_encoders_write_the_codes_of_the_model(tuned_run, config):
    run, cache = tuned_run
    before = prepare(config, run, cache)
    material, _ = prepare_finetuning(config, run, before, cache)
    assert set(material.image.arrays) == {"lower_map"}
    assert material.image.arrays["lower_map"].dtype == np.float16
    assert set(material.text.arrays) == {"token_ids"}
    model = run.load()
    packed = Coder(model.text_hasher).packed(material.text)
    ids = material.text.batch(np.arange(len(material.text)))["token_ids"]
    whole = np.array(run.load("text_encoder")(ids, training=False)["hash_logits"])
    np.testing.assert_array_equal(np.packbits(whole >= 0, axis=1), packed)
    # The model reads maps in half precision, the encoder pixels: codes agree but near zero.
    maps = material.image.batch(np.arange(60))["lower_map"]
    expected = np.array(model.image_hasher(maps, training=False)["hash_logits"])
    whole = run.load("image_encoder")(_pixels(run, config), training=False)["hash_logits"]
    np.testing.assert_allclose(whole, expected, atol=0.01)


def test_evaluate_finetuned_repeats_the_score_that_selected_the_epoch(tuned_run):
    run, cache = tuned_run
    results = evaluate(run, cache, role="validation")
    maps = [results["summary"][name]["map"] for name in ("image_to_text", "text_to_image")]
    assert sum(maps) / 2 == pytest.approx(run.require_finished()["validation_map"], abs=1e-9)


def test_finetuned_encoders_write_equal_bits_on_a_device(tuned_run, config):
    run, _ = tuned_run
    ids = text_tokenizer(config, run.vocabulary).encode(run_pairs(run).texts)
    for modality, inputs in (("image", _pixels(run, config)), ("text", ids)):
        encoder = run.load(f"{modality}_encoder")
        logits = reference_codes(hash_writer(encoder, "logits"), inputs)
        file = LiteRTModel(convert_model(code_writer(encoder, "codes")))
        said = compare_codes(logits, file.run(inputs)["packed"])
        assert said["differing_bits_not_near_zero"] == 0


@pytest.mark.slow
def test_export_of_a_finetuned_run_is_one_network_with_equal_bits(tuned_run, tmp_path):
    run, _ = tuned_run
    pairs = run_pairs(run)
    said = export(run, tmp_path / "export", pairs.take(pairs.indices("query")))
    for modality in ("image", "text"):
        for form in ("saved_model", "float32.tflite"):
            assert said["verification"][modality][form]["differing_bits_not_near_zero"] == 0


# --- From pixels; and where it did not help ---


def test_fit_finetune_from_pixels_trains_the_whole_image_body(make_config, tmp_path):
    # The one run here whose steps are graphs.
    tables = {**SHORT, "finetune": "image", "finetune_from": ""}
    config = make_config({**TABLES, "training": tables})
    run = fit(config, tmp_path / "run", tmp_path / "cache")
    before = prepare(config, run, tmp_path / "cache")
    material, learning = prepare_finetuning(config, run, before, tmp_path / "cache")
    assert set(material.image.arrays) == {"pixels"}
    assert material.bodies.image is learning["image"]
    assert material.bodies.image.trainable
    assert "flip" in [layer.name for layer in learning["image"].layers]
    assert "flip" not in [layer.name for layer in cut(learning["image"], "block3")[1].layers]
    # What is not fine-tuned is read from the cache as before.
    assert set(material.text.arrays) == set(before.text.arrays)
    pixels = material.image.batch(np.arange(60))["pixels"]
    whole = np.array(run.load("image_encoder")(pixels, training=False)["hash_logits"])
    if run.require_finished()["finetuned"]:
        packed = Coder(run.load().image_hasher).packed(material.image)
        np.testing.assert_array_equal(np.packbits(whole >= 0, axis=1), packed)
    evaluate(run, tmp_path / "cache")


def test_fit_finetune_that_does_not_help_keeps_the_frozen_body(
    make_config, tuned_run, tmp_path, monkeypatch, eagerly
):
    config = make_config({**TABLES, "training": SHORT})

    class Falling(fitting.Validation):
        calls = 0

        def __call__(self):
            Falling.calls += 1
            score = 1 / Falling.calls
            return {"score": score, "image_to_text": score, "text_to_image": score}

    monkeypatch.setattr(fitting, "Validation", Falling)
    _, cache = tuned_run
    run = fit(config, tmp_path / "run", cache)
    assert Falling.calls == 2
    finished = run.require_finished()
    assert (finished["best_epoch"], finished["stage"]) == (1, "separate")
    material = prepare(config, run, cache)
    assert set(run.load().image_hasher.input) == {"feature_map", "pooled"}
    pixels = _pixels(run, config)
    maps = material.bodies.image(pixels, training=False)
    np.testing.assert_allclose(
        run.load("image_encoder")(pixels, training=False)["hash_logits"],
        run.load().image_hasher(maps, training=False)["hash_logits"],
        atol=1e-5,
    )
    evaluate(run, cache)


# --- Killed and resumed ---


def test_fit_killed_while_finetuning_and_resumed_ends_as_if_never_killed(
    tuned_run, config, tmp_path
):
    expected, _ = tuned_run
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    process = start_fresh(FIT_AND_DIE, tmp_path)
    process.join(timeout=900)
    assert process.exitcode == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert 3 <= run.read_json("state")["epoch"] < 5
    run_fresh(RESUME, tmp_path, timeout=900)
    lines, expected_lines = untimed_history(run), untimed_history(expected)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    for line, expected_line in zip(lines, expected_lines, strict=True):
        assert line.keys() == expected_line.keys()
        assert line["stage"] == expected_line["stage"]
        for name in line.keys() - {"stage"}:
            assert line[name] == pytest.approx(expected_line[name], rel=1e-5), (name, line["epoch"])
    for one, two in zip(run.load().variables, expected.load().variables, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5, err_msg=one.path)


# --- Wrong use ---


def test_fit_finetune_from_an_unknown_block_stops_before_training(make_config, tmp_path):
    tables = {**TABLES, "training": {**TABLES["training"], "finetune_from": "block3a"}}
    with pytest.raises(ValueError, match="Unknown block `block3a` of small_cnn. Did you mean"):
        fit(make_config(tables), tmp_path / "run", tmp_path / "cache")
    assert not (tmp_path / "run" / "state.json").exists()
    assert not (tmp_path / "cache").exists()


def _layers(model):
    """Every layer of a model and of the models in it, by name."""
    for layer in model.layers:
        yield layer.name, layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def _pixels(run, config):
    from udsph_tf.data.images import load_pixels, read_image

    size = config.image.size
    return np.stack([load_pixels(read_image(each), size) for each in run_pairs(run).images])
