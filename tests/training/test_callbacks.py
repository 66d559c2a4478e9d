import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from udsph_tf.config import Config, LossConfig
from udsph_tf.config_sections import TrainingConfig
from udsph_tf.data import Pairs
from udsph_tf.evaluation import bit_balance, bit_correlation
from udsph_tf.training import UDSPH, RunFolder
from udsph_tf.training.callbacks import AfterEpoch, StopNotFinite, Validation, check_finite
from udsph_tf.training.material import Material
from udsph_tf.training.preparation import Inputs
from udsph_tf.training.state import State, load_state, save_state

PLAIN = LossConfig(adversarial=0.0, local=0.0, gradient_penalty=0.0)


class Scores:
    """Stands in for the validation: scores that are known beforehand."""

    measure = "MAP"

    def __init__(self, *scores):
        self.scores = list(scores)

    def __call__(self):
        score = self.scores.pop(0)
        return {"score": score, "image_to_text": score - 0.1, "text_to_image": score + 0.1}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(Config(), resume=False)
    return run


def fit(model, run, state, scores, batch, epochs, patience=0, batch_size=24):
    model.compile(stage="separate", run_eagerly=True)
    model.fit(
        *batch,
        batch_size=batch_size,
        epochs=epochs,
        initial_epoch=state.epoch,
        shuffle=False,
        verbose=0,
        callbacks=[AfterEpoch(run, state, Scores(*scores), "separate", epochs, patience)],
    )


def weights(model):
    return [each.numpy() for each in model.weights]


def checkpoints(run):
    return sorted(path.name for path in run.checkpoint(0).parent.iterdir())


def test_after_epoch_keeps_the_last_and_the_best_epoch(run, make_model, batch, capsys):
    state = State()
    fit(make_model(PLAIN), run, state, (0.5, 0.7, 0.6), batch, 3)
    assert (state.epoch, state.best_epoch, state.best_score) == (3, 2, 0.7)
    assert checkpoints(run) == ["epoch-0002.weights.h5", "epoch-0003.weights.h5"]
    content = run.read_json("state")
    assert content == {"epoch": 3, "best_epoch": 2, "best_score": 0.7}
    lines = run.read_history()
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[1]["image_to_text"] == pytest.approx(0.6)
    assert lines[1]["text_to_image"] == pytest.approx(0.8)
    assert {"stage", "seconds", "loss", "classification", "learning_rate"} <= lines[0].keys()
    assert lines[0]["learning_rate"] == pytest.approx(1e-3)
    # One line an epoch on stderr, nothing on stdout.
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("epoch   2/3  separate  loss ") == 1
    assert [line.endswith("best") for line in printed.err.splitlines()] == [True, True, False]


def test_after_epoch_equal_score_keeps_the_earlier_epoch(run, make_model, batch):
    state = State()
    fit(make_model(PLAIN), run, state, (0.5, 0.5), batch, 2)
    assert state.best_epoch == 1


# --- Early stopping ---


def test_after_epoch_stops_after_as_many_epochs_without_a_better_score(
    run, make_model, batch, capsys
):
    state = State()
    fit(make_model(PLAIN), run, state, (0.5, 0.7, 0.6, 0.7, 0.9), batch, 5, patience=2)
    assert (state.epoch, state.best_epoch) == (4, 2)
    assert run.read_json("state")["epoch"] == 4
    assert "no better validation score in 2 epochs: stopped" in capsys.readouterr().err


def test_after_epoch_patience_outlives_a_kill(run, make_model, batch):
    model, state = make_model(PLAIN), State()
    fit(model, run, state, (0.7, 0.6), batch, 2, patience=2)
    assert not state.is_exhausted(2)
    # As another process would: all that is known is in the run folder.
    state = load_state(model, run)
    fit(model, run, state, (0.5, 0.9), batch, 5, patience=2)
    assert (state.epoch, state.best_epoch) == (3, 1)
    assert load_state(model, run).is_exhausted(2)


def test_load_state_restores_weights_optimizers_and_history(run, make_model, batch):
    model, state = make_model(PLAIN, dropout=0.5), State()
    fit(model, run, state, (0.5, 0.4), batch, 2)
    other = make_model(PLAIN, dropout=0.5, seed=3)
    other.compile(stage="separate", run_eagerly=True)
    again = load_state(other, run)
    assert again == state
    for one, two in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    for group in ("image", "text", "label"):
        one, two = (getattr(each, f"{group}_optimizer").variables for each in (model, other))
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(left, right)
    # The best epoch's weights are another file.
    best = make_model(PLAIN, dropout=0.5)
    best.compile(stage="joint")
    best.load_weights(run.checkpoint(again.best_epoch))
    assert any((one != two).any() for one, two in zip(weights(best), weights(other), strict=True))


def test_load_state_where_there_is_none_is_none(run, make_model):
    model = make_model(PLAIN)
    before = weights(model)
    assert load_state(model, run) is None
    for one, two in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(one, two)


def test_load_state_after_a_kill_between_its_files_goes_by_the_state(run, make_model, batch):
    model, state = make_model(PLAIN), State()
    fit(model, run, state, (0.5, 0.4), batch, 2)
    expected = weights(model)
    # As if killed after the next epoch's weights and history, before the state that names them,
    # and in the middle of writing another file.
    model.save_weights(run.checkpoint(3))
    with run.history.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"epoch": 3}) + "\n")
    (run.checkpoint(0).parent / ".abc.tmp.epoch-0003.weights.h5").write_bytes(b"half")
    again = load_state(model, run)
    assert again.epoch == 2
    assert [line["epoch"] for line in again.history] == [1, 2]
    for one, two in zip(expected, weights(model), strict=True):
        np.testing.assert_array_equal(one, two)
    again.epoch = 3
    save_state(model, run, again)
    assert checkpoints(run) == ["epoch-0001.weights.h5", "epoch-0003.weights.h5"]


class Broken(UDSPH):
    """One term stops being a number in the third step."""

    steps = 0

    def compute_terms(self, *args, **kwargs):
        terms = super().compute_terms(*args, **kwargs)
        self.steps += 1
        if self.steps >= 3:
            terms["classification"] = terms["classification"] * float("nan")
        return terms


def test_after_epoch_loss_that_is_not_finite_names_the_term_and_keeps_the_best(
    run, make_model, batch
):
    # Two steps an epoch: the first epoch is good, the second breaks in its first step.
    model, state = make_model(PLAIN, kind=Broken), State()
    with pytest.raises(
        FloatingPointError,
        match=r"Not finite in epoch 2, step 1: the loss term classification\. The last good",
    ):
        fit(model, run, state, (0.5, 0.6), batch, 2, batch_size=12)
    assert run.read_json("state") == {"epoch": 1, "best_epoch": 1, "best_score": 0.5}
    assert checkpoints(run) == ["epoch-0001.weights.h5"]
    other = make_model(PLAIN)
    other.compile()
    assert load_state(other, run).best_epoch == 1
    assert all(np.isfinite(each).all() for each in weights(other))


def test_after_epoch_names_a_discriminator_that_is_not_finite(run, make_model, batch):
    class BrokenDiscriminator(UDSPH):
        def _discriminator_step(self, name, *features):
            logs = super()._discriminator_step(name, *features)
            return {key: value * float("nan") for key, value in logs.items() if name in key}

    model = make_model(LossConfig(adversarial=0.1, local=0.0), kind=BrokenDiscriminator)
    model.compile(stage="joint", run_eagerly=True)
    # The loss of this step is a number still; that of the next one would not be.
    with pytest.raises(FloatingPointError, match="epoch 1, step 1: the loss term image_disc"):
        callback = AfterEpoch(run, State(), Scores(0.5), "joint", 1)
        model.fit(*batch, batch_size=12, verbose=0, callbacks=[callback])


def test_after_epoch_weights_spoilt_by_its_last_step_are_named_before_validation(
    run, make_model, batch
):
    model, state = make_model(PLAIN), State()
    fit(model, run, state, (0.5,), batch, 1)

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            kernel = self.model.image_hasher.get_layer("hash_logits").kernel
            kernel.assign(np.full(kernel.shape, np.nan))

    # No score is left to give: validation is not asked for one.
    after = AfterEpoch(run, state, Scores(), "separate", 2)
    with pytest.raises(
        FloatingPointError, match=r"after epoch 2: the weights .*hash_logits/kernel"
    ):
        model.fit(
            *batch, batch_size=24, epochs=2, initial_epoch=1, verbose=0, callbacks=[after, Spoil()]
        )
    assert run.read_json("state")["epoch"] == 1
    assert checkpoints(run) == ["epoch-0001.weights.h5"]


def test_save_state_never_writes_weights_that_are_not_finite(run, make_model, batch):
    model, state = make_model(PLAIN), State()
    fit(model, run, state, (0.5,), batch, 1)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    # No code depends on a local projection, so that no score would tell.
    projection = model.image_hasher.get_layer("regions_projection").kernel
    projection.assign(np.full(projection.shape, np.inf))
    state.epoch = 2
    message = r"Not finite after epoch 2: the weights \S*regions_projection/kernel\. The last good"
    with pytest.raises(FloatingPointError, match=message):
        save_state(model, run, state)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_stop_not_finite_says_when(make_model, batch):
    model = make_model(PLAIN, kind=Broken)
    model.compile(stage="separate", run_eagerly=True)
    with pytest.raises(
        FloatingPointError, match="Not finite in a trial, epoch 2, step 1: the loss term classif"
    ):
        model.fit(
            *batch, batch_size=12, epochs=3, verbose=0, callbacks=[StopNotFinite("in a trial")]
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_check_finite_names_every_term_that_is_not(value):
    logs = {"loss": value, "a": 1.0, "b": value, "c": value}
    with pytest.raises(FloatingPointError, match="Not finite somewhere: the loss term b, c. Lower"):
        check_finite(logs, "somewhere")
    with pytest.raises(FloatingPointError, match="the loss term loss. Kept. Lower training"):
        check_finite({"loss": value, "a": 1.0}, "somewhere", "Kept. ")
    check_finite({"loss": 1.0}, "somewhere")


# --- Validation ---


def test_validation_scores_both_directions_and_describes_the_codes(make_model, batch):
    model = make_model(PLAIN)
    inputs, labels = batch
    roles = ["validation"] * 8 + ["database"] * 16
    names = [f"item {row}" for row in range(24)]
    pairs = Pairs("drawn", names, names, names, labels, tuple("abcde"), roles)
    image, text = (Inputs(inputs[each], np.arange(24)) for each in ("image", "text"))
    material = Material(pairs, image, text, bodies=None)
    training = TrainingConfig(validation_database=10, criterion="ndcg")
    values = Validation(model, material, training)()
    assert values["score"] == (values["image_to_text_ndcg"] + values["text_to_image_ndcg"]) / 2
    by_map = Validation(model, material, replace(training, criterion="map"))()
    assert by_map["score"] == (values["image_to_text"] + values["text_to_image"]) / 2
    assert set(values) - set(by_map) == {"image_to_text_ndcg", "text_to_image_ndcg"}
    assert set(by_map) == {
        "score",
        "image_to_text",
        "text_to_image",
        "image_bit_balance",
        "image_bit_correlation",
        "text_bit_balance",
        "text_bit_correlation",
    }
    assert all(0 <= each <= 1 for each in values.values())
    for modality, hasher in (("image", model.image_hasher), ("text", model.text_hasher)):
        few = {name: each[:8] for name, each in inputs[modality].items()}
        codes = np.where(np.array(hasher(few, training=False)["hash_logits"]) >= 0, 1, -1)
        assert values[f"{modality}_bit_balance"] == pytest.approx(bit_balance(codes))
        assert values[f"{modality}_bit_correlation"] == pytest.approx(bit_correlation(codes))
