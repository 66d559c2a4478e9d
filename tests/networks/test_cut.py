import keras
import numpy as np
import pytest

from udsph_tf.networks import cut, efficientnet_lite0, small_cnn
from udsph_tf.networks.cut import block_names, freeze_statistics

LITE0_BLOCKS = (
    *("block1a", "block2a", "block2b", "block3a", "block3b", "block4a", "block4b", "block4c"),
    *("block5a", "block5b", "block5c", "block6a", "block6b", "block6c", "block6d", "block7a"),
)


@pytest.fixture(scope="module")
def lite0():
    """Random weights, and statistics that a network might have seen."""
    keras.utils.set_random_seed(0)
    body = efficientnet_lite0((64, 64, 3))
    rng = np.random.default_rng(0)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape) / 10)
            layer.moving_variance.assign(rng.uniform(0.1, 1, layer.moving_variance.shape))
    return body


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)


# --- cut ---


def test_block_names_of_lite0_are_its_sixteen_bottlenecks(lite0):
    assert block_names(lite0) == LITE0_BLOCKS


@pytest.mark.parametrize("block", ["block1a", "block2b", "block5a", "block6a", "block7a"])
def test_cut_lower_then_upper_is_the_whole_body(lite0, pixels, block):
    lower, upper = cut(lite0, block)
    expected = lite0(pixels, training=False)
    outputs = upper(lower(pixels, training=False)["lower_map"], training=False)
    assert set(outputs) == {"feature_map", "pooled"}
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    both = [id(weight) for weight in (*lower.weights, *upper.weights)]
    assert sorted(both) == sorted(id(weight) for weight in lite0.weights)


@pytest.mark.parametrize(
    ("block", "shape"),
    [("block4a", (16, 16, 40)), ("block5a", (8, 8, 80)), ("block6a", (8, 8, 112))],
)
def test_cut_lower_gives_the_map_that_the_block_reads(block, shape):
    lower, upper = cut(efficientnet_lite0((128, 128, 3)), block)
    assert {name: each.shape[1:] for name, each in lower.output.items()} == {"lower_map": shape}
    assert upper.input.shape[1:] == shape


@pytest.mark.parametrize("block", ["block4a", "block5a", "block5b"])
def test_cut_of_pooled_stages_passes_those_of_lower_stages_on(pixels, block):
    keras.utils.set_random_seed(0)
    body = efficientnet_lite0((64, 64, 3), pooling="stages")
    lower, upper = cut(body, block)
    stages = range(2, int(block[5]))
    assert set(lower.output) == {"lower_map"} | {
        f"block{stage}_{kind}" for stage in stages for kind in ("mean", "max")
    }
    expected = body(pixels, training=False)
    outputs = upper(lower(pixels, training=False), training=False)
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    both = [id(weight) for weight in (*lower.weights, *upper.weights)]
    assert sorted(both) == sorted(id(weight) for weight in body.weights)


def test_cut_of_another_body_goes_by_its_own_blocks():
    keras.utils.set_random_seed(0)
    body = small_cnn((32, 32, 3))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    for block in block_names(body):
        lower, upper = cut(body, block)
        np.testing.assert_allclose(
            upper(lower(pixels, training=False)["lower_map"], training=False)["pooled"],
            body(pixels, training=False)["pooled"],
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ("block", "hint"), [("blok5a", "Did you mean `block5a`"), ("", "Valid names: `block1a`")]
)
def test_cut_unknown_block_names_the_nearest(lite0, block, hint):
    with pytest.raises(ValueError, match=f"Unknown block `{block}` of efficientnet_lite0. {hint}"):
        cut(lite0, block)


# --- freeze_statistics ---


def test_freeze_statistics_training_moves_pointwise_kernels_alone(pixels):
    keras.utils.set_random_seed(0)
    body = efficientnet_lite0((64, 64, 3))
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Else the signal of random weights, and its gradient, would vanish on the way.
            layer.moving_variance.assign(layer.moving_variance * 0.1)
    freeze_statistics(body)
    model = keras.Model(body.input, body.output["pooled"])
    model.compile(keras.optimizers.Adam(0.01), loss="mse", run_eagerly=True)
    before = {weight.path: weight.numpy() for weight in body.weights}
    model.fit(pixels, np.ones((3, 1280), np.float32), epochs=1, batch_size=3, verbose=0)
    moved = {w.path for w in body.weights if (w.numpy() != before[w.path]).any()}
    assert moved == {weight.path for weight in body.trainable_weights}
    assert len(moved) == 1 + 15 + 16 + 1  # stem, expansions, projections, head
    assert all(path.endswith("/kernel") and "depthwise" not in path for path in moved)
    # With its statistics in use, an item's outputs do not depend on its batch mates.
    alone = body(pixels[:1], training=True)["pooled"]
    np.testing.assert_allclose(alone, body(pixels, training=True)["pooled"][:1], atol=1e-5)


# --- Augmentation ---


def test_augmentation_changes_training_alone(pixels):
    keras.utils.set_random_seed(0)
    plain = efficientnet_lite0((64, 64, 3))
    body = efficientnet_lite0((64, 64, 3), augment=True)
    body.set_weights(plain.get_weights())
    freeze_statistics(body)
    expected = plain(pixels, training=False)["pooled"]
    np.testing.assert_allclose(body(pixels, training=False)["pooled"], expected, atol=1e-6)
    one, two = (body(pixels, training=True)["pooled"].numpy() for _ in range(2))
    assert (one != two).any()
