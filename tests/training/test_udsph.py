import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from fresh_process import run_fresh

from udsph_tf.config import LossConfig
from udsph_tf.training import UDSPH
from udsph_tf.training.terms import TERMS
from udsph_tf.training.udsph import GROUPS, STAGES

# A step of fine-tuning is a joint one, as a test says; what takes long is not done twice.
DIFFERENT_STAGES = ("label", "separate", "joint", "refine")


def train(model, stage, batch, optimizers=None, eager=True, batch_size=24, **options):
    """Logs of a few steps of a stage; eager, since tracing takes longer than the steps."""
    inputs, labels = for_stage(model, stage, batch)
    data = (labels, None) if stage == "label" else (inputs, labels)
    model.compile(optimizers or descent(), stage=stage, run_eagerly=eager)
    return model.fit(*data, batch_size=batch_size, shuffle=False, verbose=0, **options).history


def descent():
    """Optimizers that are quicker to make, and to make a step with, than Adam."""
    return {group: keras.optimizers.SGD(0.05) for group in GROUPS}


def for_stage(model, stage, batch):
    """A batch as the stage takes it: the hash heads read what the networks below them write."""
    inputs, labels = batch
    if stage != "refine":
        return inputs, labels
    hashers = {"image": model.image_hasher, "text": model.text_hasher}
    return {
        modality: np.array(hasher(inputs[modality], training=False)["hash_input"])
        for modality, hasher in hashers.items()
    }, labels


def values(model, group):
    return [variable.numpy() for variable in model.group_variables(group)]


# --- Which variables a step moves ---


@pytest.mark.parametrize(
    ("stage", "moved"),
    [
        ("label", {"label"}),
        ("separate", {"image", "text"}),
        ("joint", {"image", "text", "image_discriminator", "text_discriminator"}),
        ("refine", {"image", "text"}),
    ],
)
def test_train_step_moves_the_variables_of_its_stage_alone(stage, moved, make_model, batch):
    model = make_model()
    before = {group: values(model, group) for group in GROUPS}
    # Adam moves a variable however small its gradient is.
    train(model, stage, batch, {group: keras.optimizers.Adam() for group in GROUPS})
    for group in GROUPS:
        changed = [
            not np.array_equal(old, new)
            for old, new in zip(before[group], values(model, group), strict=True)
        ]
        if group not in moved:
            assert not any(changed), group
        elif stage == "refine":
            names = [variable.path for variable in model.group_variables(group)]
            moves = [name for name, moves in zip(names, changed, strict=True) if moves]
            assert [name.split("/")[-2:] for name in moves] == [
                ["hash_logits", "kernel"],
                ["hash_logits", "bias"],
            ]
        elif stage == "separate" and group in ("image", "text"):
            # Without the local term nothing reaches the local projections, which come last.
            names = [variable.path for variable in model.group_variables(group)]
            still = [name for name, moves in zip(names, changed, strict=True) if not moves]
            assert len(still) == 2
            assert all("_projection/" in name for name in still), still
        else:
            assert all(changed), group


def test_group_variables_are_disjoint_and_all_there_is(make_model):
    model = make_model()
    groups = [model.group_variables(group) for group in GROUPS]
    ids = [id(variable) for variables in groups for variable in variables]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {id(variable) for variable in model.trainable_variables}


class Counting(UDSPH):
    """Counts how often its step is traced."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


@pytest.mark.parametrize("stage", DIFFERENT_STAGES)
def test_train_step_as_a_graph_is_traced_once_and_does_what_it_does_eagerly(
    stage, make_model, batch
):
    eager, graph = make_model(dropout=0.3), make_model(dropout=0.3, kind=Counting)
    # Adam's update of many variables takes as long to trace as all else.
    make = keras.optimizers.Adam if stage == "label" else keras.optimizers.SGD
    expected, logs = (
        train(model, stage, batch, {group: make(1e-2) for group in GROUPS}, is_eager, epochs=3)
        for model, is_eager in ((eager, True), (graph, False))
    )
    # A step that made a variable would be traced a second time, which takes seconds.
    assert graph.traces == 1
    assert logs.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(logs[name], expected[name], rtol=2e-3, err_msg=name)
    assert float(graph.joint_steps) == float(eager.joint_steps) == (3 if stage == "joint" else 0)


def test_train_step_of_finetuning_is_a_joint_one(make_model, batch):
    joint, tuned = make_model(dropout=0.3), make_model(dropout=0.3)
    assert train(tuned, "finetune", batch) == train(joint, "joint", batch)
    for one, two in zip(joint.variables, tuned.variables, strict=True):
        np.testing.assert_array_equal(one, two)


# --- The adversary ---


@pytest.mark.parametrize(
    ("form", "below"),
    [
        # Everything below the features: normalization, hidden layer and features, two each.
        ({}, 6),
        ({"adversarial_labels": True, "adversarial_noise": 0.5}, 6),
        ({"adversarial_spectral_norm": True, "gradient_penalty": 0.0}, 6),
        # And below the hashes: both heads, since the hash head reads label posteriors.
        ({"adversarial_on": "hash"}, 10),
    ],
)
def test_adversarial_gradient_reaches_both_hashers(form, below, make_model, batch):
    model = make_model(LossConfig(adversarial=0.1, **form))
    inputs, labels = batch
    variables = {group: model.group_variables(group) for group in ("image", "text")}
    with tf.GradientTape() as tape:
        image = model.image_hasher(inputs["image"], training=True)
        text = model.text_hasher(inputs["text"], training=True)
        terms = model.compute_terms(image, text, tf.constant(labels))
        adversarial = terms["adversarial"]
    gradients = tape.gradient(adversarial, variables)
    for group in ("image", "text"):
        reached = [
            variable.path
            for variable, gradient in zip(variables[group], gradients[group], strict=True)
            if gradient is not None and np.abs(gradient).max() > 0
        ]
        assert len(reached) == below, reached
        assert any("features/kernel" in path for path in reached)


def test_discriminator_step_tells_the_label_net_from_a_hasher(make_model):
    model = make_model(LossConfig(adversarial=0.1, gradient_penalty=0.0))
    model.compile({"text_discriminator": keras.optimizers.Adam(1e-2)}, run_eagerly=True)
    rng = np.random.default_rng(0)
    real, fake = (
        {"features": tf.constant(rng.normal(mean, 1, size=(64, 8)), tf.float32)} for mean in (1, -1)
    )
    before = values(model, "image_discriminator")
    for _ in range(20):
        logs = model._discriminator_step("text", real, fake, None)
    assert logs["text_discriminator_accuracy"] > 0.9
    assert logs["text_discriminator"] < 1
    # A discriminator a modality: the other one has not moved.
    for old, new in zip(before, values(model, "image_discriminator"), strict=True):
        np.testing.assert_array_equal(old, new)


def test_adversarial_ramp_is_that_of_the_joint_steps_and_weighs_the_term(make_model, batch):
    weights = {"adversarial": 1.0, "adversarial_warmup": 4}
    model = make_model(LossConfig(**weights))
    train(model, "joint", batch, batch_size=8)
    assert float(model.joint_steps) == 3
    assert float(model._total({"adversarial": 2.0})) == pytest.approx(1.5)
    train(model, "separate", batch, batch_size=8)
    assert float(model.joint_steps) == 3


# --- Terms of weight 0 ---


class Recording(UDSPH):
    """Keeps the gradients instead of applying them, and can drop a term whatever its weight."""

    dropped = None

    def compute_terms(self, *args, **kwargs):
        terms = super().compute_terms(*args, **kwargs)
        terms.pop(self.dropped, None)
        return terms

    def _apply(self, group, gradients, variables):
        self.gradients[group] = gradients

    def step(self, loss, dropped, batch):
        self.loss_config, self.dropped, self.gradients = loss, dropped, {}
        logs = self.train_step(batch)
        return logs, dict(self.gradients)


@pytest.mark.parametrize("term", TERMS)
def test_term_of_weight_zero_is_not_logged_and_does_not_change_the_update(term, make_model, batch):
    settings = dict.fromkeys(TERMS, 0.5) | {"gradient_penalty": 0.0}
    model = make_model(LossConfig(**settings), kind=Recording)
    model.compile(descent())
    logs, off = model.step(LossConfig(**settings | {term: 0.0}), None, batch)
    assert term not in logs
    assert set(TERMS) - {term} <= logs.keys()
    assert ("image_discriminator" in logs) == (term != "adversarial")
    _, dropped = model.step(LossConfig(**settings), term, batch)
    _, whole = model.step(LossConfig(**settings), None, batch)
    differs = False
    for group in ("image", "text"):
        for one, other, with_it in zip(off[group], dropped[group], whole[group], strict=True):
            assert (one is None) == (other is None)
            if one is None:
                differs |= with_it is not None
                continue
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
            differs |= not np.allclose(one, with_it, rtol=1e-5, atol=1e-7)
    # The term does matter where it has a weight, so that the comparison above says something.
    assert differs


def test_separate_stage_logs_neither_adversary_nor_attention(make_model, batch):
    logs = train(make_model(), "separate", batch)
    assert logs.keys() == {*TERMS, "loss"} - {"adversarial", "local"}


def test_loss_is_the_weighted_sum_of_the_logged_terms(make_model, batch, loss_config):
    logs = train(make_model(), "joint", batch)
    expected = sum(getattr(loss_config, term) * logs[term][0] for term in TERMS)
    assert logs["loss"][0] == pytest.approx(expected, 1e-4)


# --- fit, evaluate, predict ---


@pytest.mark.parametrize("form", ["levels", "likelihood"])
@pytest.mark.parametrize("stage", DIFFERENT_STAGES)
def test_fit_on_a_tiny_problem_lowers_the_loss(stage, form, make_model, batch):
    loss = LossConfig(similarity_form=form, local_form="likelihood", local=0.2, adversarial=0.01)
    optimizers = {group: keras.optimizers.Adam(1e-2) for group in GROUPS}
    logs = train(make_model(loss), stage, batch, optimizers, epochs=6)
    assert all(np.isfinite(each).all() for each in logs.values())
    assert logs["loss"][-1] < 0.9 * logs["loss"][0]


def test_evaluate_after_training_reports_its_own_terms_alone(make_model, batch):
    model = make_model()
    train(model, "joint", batch)
    results = model.evaluate(*batch, batch_size=8, verbose=0, return_dict=True)
    assert results.keys() == {*TERMS, "loss"}
    assert len(model.evaluate(*batch, batch_size=8, verbose=0)) == len(results)


def test_evaluate_changes_no_variable_and_repeats_itself(make_model, batch):
    model = make_model(dropout=0.5)
    train(model, "joint", batch)
    before = [variable.numpy() for variable in model.variables]
    first, second = (model.evaluate(*batch, verbose=0, return_dict=True) for _ in range(2))
    assert first == second
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_evaluate_in_the_label_stage_takes_label_sets(make_model, batch):
    model = make_model()
    train(model, "label", batch)
    results = model.evaluate(batch[1], verbose=0, return_dict=True)
    assert results.keys() == {*TERMS, "loss"} - {
        "cross_similarity",
        "instance",
        "adversarial",
        "local",
    }


def test_fit_with_validation_data_logs_it_beside_the_training_terms(make_model, batch):
    logs = train(make_model(), "joint", batch, epochs=2, validation_data=batch)
    assert len(logs["loss"]) == len(logs["val_loss"]) == 2
    assert "val_adversarial" in logs
    assert "val_image_discriminator" not in logs


@pytest.mark.parametrize("stage", STAGES)
def test_train_on_batch_and_test_on_batch_take_what_fit_takes(stage, make_model, batch):
    model = make_model()
    data = (batch[1],) if stage == "label" else for_stage(model, stage, batch)
    model.compile(stage=stage, run_eagerly=True)
    before = model.test_on_batch(*data, return_dict=True)
    for _ in range(3):
        model.train_on_batch(*data)
    assert model.test_on_batch(*data, return_dict=True)["loss"] < before["loss"]


def test_sample_weights_are_an_error(make_model, batch):
    with pytest.raises(ValueError, match="`sample_weight` must be None: similarity terms weigh"):
        train(make_model(), "joint", batch, sample_weight=np.ones(24))


def test_fit_with_fewer_items_than_a_batch_is_one_step(make_model, batch):
    inputs, labels = batch
    few = {m: {name: each[:3] for name, each in a.items()} for m, a in inputs.items()}
    model = make_model()
    logs = train(model, "joint", (few, labels[:3]))
    assert np.isfinite(logs["loss"][0])
    assert int(model.image_optimizer.iterations) == 1


ODD_BATCHES = {
    # Label 2 is nobody's: its column of zeros is learnt like any other.
    "a label that never occurs": lambda labels: labels * (np.arange(5) != 2),
    # No pair, not even with an anchor: only level 0 has a weight.
    "no similar pair": lambda labels: np.eye(5, dtype=np.float32)[[2] * 24] * 0,
    "no similar pair but of an item with itself": lambda labels: np.eye(5, dtype=np.float32),
    "all items alike": np.ones_like,
    "one item": lambda labels: labels[:1],
}


@pytest.mark.parametrize(
    ("form", "local_form"), [("levels", "hinge"), ("likelihood", "likelihood")]
)
@pytest.mark.parametrize("odd", ODD_BATCHES)
def test_train_step_on_an_odd_batch_is_finite_and_so_are_its_gradients(
    odd, form, local_form, make_model, batch
):
    inputs, labels = batch
    labels = ODD_BATCHES[odd](labels).astype(np.float32)
    inputs = tf.nest.map_structure(lambda each: each[: len(labels)], inputs)
    settings = dict.fromkeys(TERMS, 0.5) | {"gradient_penalty": 1.0}
    loss = LossConfig(**settings, similarity_form=form, local_form=local_form)
    model = make_model(loss, kind=Recording)
    model.compile(descent())
    for model.stage in STAGES:
        taken = for_stage(model, model.stage, (inputs, labels))
        data = labels if model.stage == "label" else taken
        logs, gradients = model.step(loss, None, data)
        assert all(np.isfinite(each) for each in logs.values()), (model.stage, logs)
        for group, each in gradients.items():
            for gradient in each:
                assert gradient is None or np.isfinite(gradient).all(), (model.stage, group)


@pytest.mark.parametrize("form", ["levels", "likelihood"])
def test_train_step_with_a_single_anchor_is_finite_and_so_are_its_gradients(
    form, make_model, batch
):
    # All training items are of one label set: nothing to tell apart, and no error either.
    inputs, labels = batch
    loss = LossConfig(similarity_form=form)
    model = make_model(loss, kind=Recording)
    model.anchors, model.anchor_counts = labels[:1], np.array([24.0], np.float32)
    labels = np.repeat(labels[:1], 24, axis=0)
    model.compile(descent())
    for model.stage in STAGES:
        taken = for_stage(model, model.stage, (inputs, labels))
        data = labels if model.stage == "label" else taken
        logs, gradients = model.step(loss, None, data)
        assert all(np.isfinite(each) for each in logs.values()), (model.stage, logs)
        for each in gradients.values():
            assert all(gradient is None or np.isfinite(gradient).all() for gradient in each)


def test_label_that_never_occurs_is_predicted_less_and_less(make_model, batch):
    inputs, labels = batch
    labels = labels * (np.arange(5) != 2)
    model = make_model(LossConfig(adversarial=0.0, local=0.0))
    before = np.array(model.image_hasher(inputs["image"], training=False)["label_logits"])
    adam = {group: keras.optimizers.Adam(1e-2) for group in GROUPS}
    train(model, "separate", (inputs, labels), adam, epochs=10)
    after = np.array(model.image_hasher(inputs["image"], training=False)["label_logits"])
    assert after[:, 2].mean() < before[:, 2].mean() - 0.5


def test_predict_gives_the_hashes_of_both_modalities(make_model, batch):
    model = make_model(dropout=0.5)
    model.compile()
    hashes = model.predict(batch[0], batch_size=7, verbose=0)
    assert {name: each.shape for name, each in hashes.items()} == {
        "image_hash": (24, 16),
        "text_hash": (24, 16),
    }
    expected = model.image_hasher(batch[0]["image"], training=False)["hash"]
    np.testing.assert_allclose(hashes["image_hash"], expected, atol=1e-5)


def test_label_net_is_fixed_outside_its_stage(make_model, batch):
    # Its outputs are targets, so that not even dropout or moving statistics may touch it.
    model = make_model()
    expected = np.array(model.label_net(batch[1], training=False)["hash"])
    train(model, "joint", batch)
    np.testing.assert_array_equal(model.label_net(batch[1], training=False)["hash"], expected)


# --- Errors ---


def test_compile_unknown_stage_is_an_error(make_model):
    with pytest.raises(ValueError, match="`stage` must be one of .* Received: stage='all'"):
        make_model().compile(stage="all")


def test_compile_unknown_group_is_an_error(make_model):
    with pytest.raises(ValueError, match=r"`optimizers` must be by .* Received: \['images'\]"):
        make_model().compile({"images": keras.optimizers.Adam()})


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"adversarail": 0.1}, "Unknown config key `loss.adversarail`. Did you mean `adversarial`"),
        ({"similarity_form": "level"}, "Unknown `loss.similarity_form`: 'level'. Did you mean"),
        ({"local": -1.0}, "`loss.local` must not be negative"),
    ],
)
def test_unusable_loss_is_an_error(loss, message, make_model):
    with pytest.raises(ValueError, match=message):
        make_model(loss)


# --- Saving ---

PROGRAM = """
import json, keras, numpy, udsph_tf.training
model = keras.models.load_model("model.keras", safe_mode=True)
arrays = dict(numpy.load("batch.npz"))
labels = arrays.pop("labels")
inputs = {"image": {}, "text": {}}
for name, value in arrays.items():
    modality, _, name = name.partition(".")
    inputs[modality][name] = value
model.run_eagerly = True
out = {f"hash.{name}": each for name, each in model.predict(inputs, verbose=0).items()}
for group in ("image", "text", "label", "image_discriminator", "text_discriminator"):
    optimizer = getattr(model, group + "_optimizer")
    for number, variable in enumerate(optimizer.variables):
        out[f"{group}.{number}"] = variable.numpy()
terms = model.evaluate(inputs, labels, verbose=0, return_dict=True)
history = model.fit(inputs, labels, batch_size=12, epochs=2, shuffle=False, verbose=0).history
for number, variable in enumerate(model.variables):
    out[f"after.{number}"] = variable.numpy()
numpy.savez("out.npz", **out)
told = {"stage": model.stage, "terms": terms, "history": history, "config": model.get_config()}
json.dump(told, open("told.json", "w"), default=str)
"""


def test_saved_model_goes_on_in_a_fresh_process_as_if_never_saved(make_model, batch, tmp_path):
    inputs, labels = batch
    model = make_model(dropout=0.5)
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 50)
    optimizers = {group: keras.optimizers.Adam(schedule, global_clipnorm=5.0) for group in GROUPS}
    train(model, "label", batch, optimizers, batch_size=12)
    train(model, "joint", batch, optimizers, batch_size=12)
    model.save(tmp_path / "model.keras")
    arrays = {f"{m}.{name}": each for m, a in inputs.items() for name, each in a.items()}
    np.savez(tmp_path / "batch.npz", labels=labels, **arrays)
    run_fresh(PROGRAM, tmp_path)
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert told["stage"] == "joint"
    assert told["config"] == json.loads(json.dumps(model.get_config(), default=str))
    with np.load(tmp_path / "out.npz") as out:
        for name, expected in model.predict(inputs, verbose=0).items():
            np.testing.assert_allclose(out[f"hash.{name}"], expected, atol=1e-6)
        for group in GROUPS:
            # Iterations, learning rate or schedule, and two slots a variable.
            variables = getattr(model, f"{group}_optimizer").variables
            assert len(variables) >= 1 + 2 * len(model.group_variables(group))
            for number, variable in enumerate(variables):
                np.testing.assert_array_equal(out[f"{group}.{number}"], variable)
            assert int(out[f"{group}.0"]) == 2
        terms = model.evaluate(*batch, verbose=0, return_dict=True)
        assert told["terms"] == pytest.approx(terms, rel=1e-5)
        history = train(model, "joint", batch, optimizers, batch_size=12, epochs=2)
        for name, expected in history.items():
            assert told["history"][name] == pytest.approx(expected, rel=1e-4, abs=1e-6), name
        for number, variable in enumerate(model.variables):
            np.testing.assert_allclose(out[f"after.{number}"], variable, atol=1e-5)


def test_save_weights_keeps_the_random_states(make_model, batch, tmp_path):
    model = make_model(dropout=0.5)
    train(model, "joint", batch)
    states = [each.numpy() for each in model._own_states()]
    # How many joint steps there were; two dropouts and the gradient penalty, all drawn from.
    assert len(states) == 4
    assert states[0] > 0 and all(state[1] > 0 for state in states[1:])
    model.save_weights(tmp_path / "a.weights.h5")
    other = make_model(dropout=0.5, seed=9)
    other.compile(descent(), stage="joint")
    other.load_weights(tmp_path / "a.weights.h5")
    for state, again in zip(states, other._own_states(), strict=True):
        np.testing.assert_array_equal(state, again)


def test_load_weights_with_other_random_generators_is_an_error(make_model, batch, tmp_path):
    model = make_model(dropout=0.5)
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="The file must hold 2 states.* Received: 4"):
        make_model(dropout=0.0).load_weights(tmp_path / "a.weights.h5")


def test_load_weights_without_random_states_loads_the_weights(make_model, tmp_path, monkeypatch):
    model = make_model(dropout=0.5)
    with monkeypatch.context() as patch:
        patch.delattr(UDSPH, "save_own_variables")
        model.save_weights(tmp_path / "a.weights.h5")
    other = make_model(dropout=0.5, seed=9)
    other.load_weights(tmp_path / "a.weights.h5")
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_compile_config_round_trip_keeps_stage_and_optimizers(make_model):
    model = make_model()
    model.compile({"image": keras.optimizers.SGD(0.25)}, stage="separate")
    again = make_model()
    again.compile_from_config(model.get_compile_config())
    assert again.stage == "separate"
    assert isinstance(again.image_optimizer, keras.optimizers.SGD)
    assert float(again.image_optimizer.learning_rate) == 0.25
    assert isinstance(again.text_optimizer, keras.optimizers.Adam)


def test_config_round_trip_keeps_loss_anchors_and_parts(make_model):
    loss = LossConfig(local=0.7, similarity_form="likelihood", balance_pairs=False)
    model = make_model(loss)
    again = UDSPH.from_config(model.get_config())
    assert again.loss_config == loss
    np.testing.assert_array_equal(again.anchors, model.anchors)
    np.testing.assert_array_equal(again.anchor_counts, model.anchor_counts)
    assert again.get_config() == model.get_config()
