"""Two replicas make the step of one device. In a process of its own: TensorFlow divides a CPU into
logical devices before it is first used, or never."""

import json

import numpy as np
import pytest
import tensorflow as tf
from fresh_process import run_fresh

from udsph_tf.training.replicas import gather, reduce_gradients

# Items of a batch; those of the last two do not divide evenly. In "scaled" steps, which are
# separate ones, the optimizers skip the first: they must see the whole gradient for that, as for
# clipping.
STEPS = {"label": 24, "separate": 24, "refine": 24, "joint": 23, "scaled": 7}

PROGRAM = """
import contextlib, json, keras, numpy as np, tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from udsph_tf.networks import image_hasher, label_net, text_hasher
from udsph_tf.training import UDSPH
from udsph_tf.training.udsph import GROUPS

given = json.load(open("given.json"))
arrays = dict(np.load("inputs.npz"))
labels = arrays.pop("labels")
inputs = {"image": {}, "text": {}}
for name, value in arrays.items():
    modality, _, name = name.partition(".")
    inputs[modality][name] = value
anchors, counts = np.unique(labels, axis=0, return_counts=True)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def make(scaled):
    keras.utils.set_random_seed(0)
    model = UDSPH(
        image_hasher((2, 2, 7), 9, dropout=0.0, **given["sizes"]),
        text_hasher((3, 7), 7, dropout=0.0, **given["sizes"]),
        label_net(5, num_bits=16, hidden_dim=12, feature_dim=8),
        anchors,
        counts,
        # So heavy that 2^127 times its gradient is infinite until the scale has been halved.
        given["loss"] | ({"classification": 100.0} if scaled else {}),
        name="udsph",
    )
    optimizers = {}
    for group in GROUPS:
        optimizers[group] = keras.optimizers.SGD(0.1, global_clipnorm=0.5)
        if scaled:
            optimizers[group] = keras.optimizers.LossScaleOptimizer(
                optimizers[group], initial_scale=2.0**127
            )
    return model, optimizers

told, out = {}, {}
for step, size in given["steps"].items():
    for devices in (1, 2):
        with strategy.scope() if devices == 2 else contextlib.nullcontext():
            model, optimizers = make(step == "scaled")
        stage = "separate" if step == "scaled" else step
        # Eager but for one, since tracing takes longer than the steps.
        eager = devices == 1 or step != given["graph"]
        model.compile(optimizers, stage=stage, run_eagerly=eager)
        number = 24 if step == "scaled" else size
        few, few_labels = tf.nest.map_structure(lambda each: each[:number], (inputs, labels))
        if stage == "refine":
            hashers = {"image": model.image_hasher, "text": model.text_hasher}
            few = {
                name: {"hash_input": np.array(hasher(few[name], training=False)["hash_input"])}
                for name, hasher in hashers.items()
            }
        data = (few_labels, None) if stage == "label" else (few, few_labels)
        history = model.fit(*data, batch_size=size, shuffle=False, verbose=0).history
        case = f"{step}.{devices}"
        told[case] = {name: values[0] for name, values in history.items()}
        if step == "joint":
            ended = model.evaluate(*data, batch_size=24, verbose=0, return_dict=True)
            told[case] |= {f"evaluated {name}": value for name, value in ended.items()}
        for number, variable in enumerate(model.variables):
            out[f"{case}.{number}"] = variable.numpy()
        if step == "scaled":
            optimizer = model.text_optimizer
            told[case]["iterations"] = int(optimizer.iterations.numpy())
shape = model.predict(inputs, batch_size=7, verbose=0)["image_hash"].shape
np.savez("out.npz", **out)
json.dump({"logs": told, "predicted": shape}, open("told.json", "w"))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory, drawn_batch, all_terms, sizes):
    """What the program told, and the variables after its steps."""
    return run_program(
        tmp_path_factory.mktemp("replicas"), "separate", drawn_batch, all_terms, sizes
    )


def run_program(folder, graph, drawn_batch, all_terms, sizes):
    inputs, labels = drawn_batch
    arrays = {f"{m}.{name}": each for m, a in inputs.items() for name, each in a.items()}
    np.savez(folder / "inputs.npz", labels=labels, **arrays)
    given = {"sizes": sizes, "loss": vars(all_terms), "steps": STEPS, "graph": graph}
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    run_fresh(PROGRAM, folder, timeout=900)
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    with np.load(folder / "out.npz") as out:
        return told, dict(out)


@pytest.mark.parametrize("step", STEPS)
def test_two_replicas_make_the_step_of_one_device(step, ran):
    check_step(step, *ran)


@pytest.mark.slow
def test_two_replicas_make_the_joint_step_as_a_graph(drawn_batch, all_terms, sizes, tmp_path):
    check_step("joint", *run_program(tmp_path, "joint", drawn_batch, all_terms, sizes))


def check_step(step, told, out):
    one = {name: each for name, each in out.items() if name.startswith(f"{step}.1.")}
    assert len(one) > 20
    for name, expected in one.items():
        number = name.rpartition(".")[2]
        found = out[f"{step}.2.{number}"]
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
    expected = told["logs"][f"{step}.1"]
    assert expected["loss"] > 1
    assert told["logs"][f"{step}.2"] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_two_replicas_skip_the_steps_that_one_device_skips(ran):
    logs = ran[0]["logs"]
    # Four batches, of which the first overflow.
    assert logs["scaled.2"]["iterations"] == logs["scaled.1"]["iterations"] < 4


def test_two_replicas_predict_every_item_once(ran):
    assert ran[0]["predicted"] == [24, 16]


def test_one_replica_gets_back_what_it_gave():
    values = {"a": tf.constant([1.0])}
    assert gather(values) is values
    gradients = [tf.constant([1.0])]
    assert reduce_gradients(gradients, "sum") is gradients
