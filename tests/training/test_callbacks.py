import json

import numpy as np
import pytest

from udsph_tf.config import Config, LossConfig
from udsph_tf.training import UDSPH, RunFolder
from udsph_tf.training.callbacks import (
    AfterEpoch,
    State,
    check_finite,
    load_state,
    save_state,
)

PLAIN = LossConfig(adversarial=0.0, local=0.0, gradient_penalty=0.0)


class Scores:
    """Stands in for the validation: scores that are known beforehand."""

    def __init__(self, *scores):
        self.scores = list(scores)

    def __call__(self):
        score = self.scores.pop(0)
        return {"image_to_text": score - 0.1, "text_to_image": score + 0.1}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(Config(), resume=False)
    return run


def fit(model, run, state, scores, batch, epochs):
    model.compile(stage="separate", run_eagerly=True)
    model.fit(
        *batch,
        batch_size=12,
        epochs=epochs,
        initial_epoch=state.epoch,
        shuffle=False,
        verbose=0,
        callbacks=[AfterEpoch(run, state, Scores(*scores), "separate", epochs)],
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
    lines = [json.loads(line) for line in run.history.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[1]["image_to_text"] == pytest.approx(0.6)
    assert lines[1]["text_to_image"] == pytest.approx(0.8)
    assert {"stage", "seconds", "loss", "classification"} <= lines[0].keys()
    # One line an epoch on stderr, nothing on stdout.
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("epoch   2/3  separate  loss ") == 1
    assert [line.endswith("best") for line in printed.err.splitlines()] == [True, True, False]


def test_after_epoch_equal_score_keeps_the_earlier_epoch(run, make_model, batch):
    state = State()
    fit(make_model(PLAIN), run, state, (0.5, 0.5), batch, 2)
    assert state.best_epoch == 1


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
            terms["bit_balance"] = terms["bit_balance"] * float("nan")
        return terms


def test_after_epoch_loss_that_is_not_finite_names_the_term_and_keeps_the_best(
    run, make_model, batch
):
    # Two steps an epoch: the first epoch is good, the second breaks in its first step.
    model, state = make_model(PLAIN, kind=Broken), State()
    with pytest.raises(
        FloatingPointError,
        match=r"Not finite in epoch 2, step 1: the loss term bit_balance\. The last good",
    ):
        fit(model, run, state, (0.5, 0.6), batch, 2)
    assert run.read_json("state") == {"epoch": 1, "best_epoch": 1, "best_score": 0.5}
    assert checkpoints(run) == ["epoch-0001.weights.h5"]
    other = make_model(PLAIN)
    other.compile()
    assert load_state(other, run).best_epoch == 1
    assert all(np.isfinite(each).all() for each in weights(other))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_check_finite_names_every_term_that_is_not(value):
    logs = {"loss": value, "a": 1.0, "b": value, "c": value}
    with pytest.raises(FloatingPointError, match="Not finite somewhere: the loss term b, c. Lower"):
        check_finite(logs, "somewhere")
    with pytest.raises(FloatingPointError, match="the loss term loss. Kept. Lower training"):
        check_finite({"loss": value, "a": 1.0}, "somewhere", "Kept. ")
    check_finite({"loss": 1.0}, "somewhere")
