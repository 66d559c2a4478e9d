import doctest
import json

import keras
import numpy as np
import pytest
from fresh_process import run_fresh

import udsph_tf.config_tables
import udsph_tf.training.configuring
import udsph_tf.training.schedules
import udsph_tf.training.state
from udsph_tf.training.build import build_optimizers
from udsph_tf.training.schedules import WarmUp, learning_rate_schedule
from udsph_tf.training.udsph import GROUPS


@pytest.mark.parametrize(
    "module",
    [
        udsph_tf.config_tables,
        udsph_tf.training.schedules,
        udsph_tf.training.state,
        udsph_tf.training.configuring,
    ],
)
def test_examples_give_the_documented_numbers(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


# Ten steps: the beginning, a half and the end.
@pytest.mark.parametrize(
    ("form", "rates"),
    [("cosine", (2, 1, 0)), ("linear", (2, 1, 0)), ("constant", (2, 2, 2))],
)
@pytest.mark.parametrize("warmup", [0, 4])
def test_schedule_begins_and_ends_where_it_should(form, rates, warmup):
    schedule = learning_rate_schedule(form, 2.0, 10 + warmup, warmup)
    found = [float(schedule(step + warmup)) for step in (0, 5, 10, 11)]
    np.testing.assert_allclose(found, [*rates, rates[-1]], atol=1e-6)
    # 2 / 4 a step, from the first one.
    rise = [float(schedule(step)) for step in range(warmup)]
    np.testing.assert_allclose(rise, [0.5, 1, 1.5, 2][:warmup], rtol=1e-6)


def test_schedule_without_warm_up_is_the_plain_cosine():
    assert isinstance(
        learning_rate_schedule("cosine", 1.0, 5), keras.optimizers.schedules.CosineDecay
    )


def test_warm_up_of_no_steps_is_an_error():
    with pytest.raises(ValueError, match="`steps` must be positive. Received: steps=0"):
        WarmUp(keras.optimizers.schedules.CosineDecay(1.0, 5), 0)


PROGRAM = """
import json, keras, udsph_tf.training
optimizer = keras.optimizers.deserialize(json.load(open("optimizer.json")))
rates = [float(optimizer._learning_rate(step)) for step in range(8)]
json.dump(rates, open("rates.json", "w"))
"""


def test_warm_up_is_read_back_in_a_fresh_process(tmp_path):
    schedule = learning_rate_schedule("linear", 0.1, 8, 3)
    config = keras.optimizers.serialize(keras.optimizers.Adam(schedule))
    (tmp_path / "optimizer.json").write_text(json.dumps(config), encoding="utf-8")
    run_fresh(PROGRAM, tmp_path)
    rates = json.loads((tmp_path / "rates.json").read_text(encoding="utf-8"))
    assert rates == [float(schedule(step)) for step in range(8)]


# --- Optimizers of a configuration ---


def test_build_optimizers_warm_up_is_for_all_but_the_label_net(make_config):
    config = make_config({"training": {"warmup_epochs": 1, "schedule": "constant"}})
    optimizers = build_optimizers(config, hasher_steps=40, label_steps=10)
    for group in GROUPS:
        schedule = optimizers[group]._learning_rate
        rates = [float(schedule(step)) for step in (0, 4, 9, 39)]
        # One of four epochs is ten steps.
        expected = [1e-3] * 4 if group == "label" else [1e-4, 5e-4, 1e-3, 1e-3]
        np.testing.assert_allclose(rates, expected, rtol=1e-5, err_msg=group)


@pytest.mark.parametrize(("clip", "expected"), [(5.0, 5.0), (0.5, 0.5), (0.0, None)])
def test_build_optimizers_clip_the_global_norm(clip, expected, make_config):
    optimizers = build_optimizers(make_config({"training": {"gradient_clip": clip}}), 10, 10)
    assert [each.global_clipnorm for each in optimizers.values()] == [expected] * len(GROUPS)


def test_build_optimizers_adamw_decays_weights(make_config):
    tables = {"training": {"optimizer": "adamw", "weight_decay": 0.02, "schedule": "constant"}}
    for optimizer in build_optimizers(make_config(tables), 10, 10).values():
        assert isinstance(optimizer, keras.optimizers.AdamW)
        weight = keras.Variable([2.0])
        optimizer.build([weight])
        optimizer.apply([np.zeros(1, np.float32)], [weight])
        # Without a gradient: w - rate * decay * w = 2 - 1e-3 * 0.02 * 2.
        assert float(weight[0]) == pytest.approx(2 - 4e-5, abs=1e-7)


def test_build_optimizers_by_default_are_adam_without_decay(make_config):
    for optimizer in build_optimizers(make_config(), 10, 10).values():
        assert type(optimizer) is keras.optimizers.Adam
        assert optimizer.weight_decay is None


def test_build_optimizers_scale_losses_in_float16_alone(make_config):
    for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
        config = make_config({"training": {"precision": precision}})
        scales = {
            isinstance(each, keras.optimizers.LossScaleOptimizer)
            for each in build_optimizers(config, 10, 10).values()
        }
        assert scales == {precision == "mixed_float16"}
