"""A saved loss is read in a process that never saw it."""

import json

import keras
import numpy as np
import pytest
from fresh_process import run_fresh

from udsph_tf import losses

PROGRAM = """
import json, keras, numpy, udsph_tf.losses
cases = json.load(open("cases.json"))
for case in cases:
    loss = keras.losses.deserialize(case["loss"])
    arrays = [numpy.array(case[name], "float32") for name in ("y_true", "y_pred")]
    case["config"], case["value"] = loss.get_config(), float(loss(*arrays))
json.dump(cases, open("answers.json", "w"))
"""

# Every setting differs from its default, so that a configuration which is not whole shows.
CASES = [
    losses.Adversarial(name="a"),
    losses.BitBalance(name="b"),
    losses.Classification(name="c"),
    losses.InstanceAlignment(temperature=0.7, name="h"),
    losses.LevelRegression(balance=False, name="d"),
    losses.LocalAlignment(margin=0.9, name="e"),
    losses.PairwiseLikelihood(balance=False, name="f"),
    losses.Quantization(name="g"),
]


def test_losses_read_in_a_fresh_process_have_equal_configurations_and_values(tmp_path):
    rng = np.random.default_rng(0)
    y_true = np.eye(3, dtype=np.float32)
    cases = [
        {
            "loss": keras.losses.serialize(loss),
            "y_true": y_true.tolist(),
            "y_pred": rng.normal(size=(3, 3)).astype(np.float32).tolist(),
        }
        for loss in CASES
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    run_fresh(PROGRAM, tmp_path)
    answers = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    for loss, answer in zip(CASES, answers, strict=True):
        assert answer["config"] == loss.get_config()
        y_pred = np.array(answer["y_pred"], np.float32)
        assert answer["value"] == pytest.approx(float(loss(y_true, y_pred)))


def test_losses_cases_hold_every_public_class():
    classes = {name for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    assert classes == {type(loss).__name__ for loss in CASES}
