import keras
import numpy as np
import pytest

from udsph_tf.networks import cnn_f
from udsph_tf.networks.cnn_f import LocalResponseNorm

# Chatfield et al. (BMVC 2014), table 1, row CNN-F: filters, size, stride, padding. Where a row says
# "x2 pool" the grid's side is halved; "LRN" stands for local response normalization.
TABLE = {
    "block1": {"kernel": (11, 11, 3, 64), "stride": 4, "pad": 0, "lrn": True, "pool": True},
    "block2": {"kernel": (5, 5, 64, 256), "stride": 1, "pad": 2, "lrn": True, "pool": True},
    "block3": {"kernel": (3, 3, 256, 256), "stride": 1, "pad": 1, "lrn": False, "pool": False},
    "block4": {"kernel": (3, 3, 256, 256), "stride": 1, "pad": 1, "lrn": False, "pool": False},
    "block5": {"kernel": (3, 3, 256, 256), "stride": 1, "pad": 1, "lrn": False, "pool": True},
    "block6": {"kernel": (6, 6, 256, 4096), "stride": 1, "pad": 0, "lrn": False, "pool": False},
    "block7": {"kernel": (1, 1, 4096, 4096), "stride": 1, "pad": 0, "lrn": False, "pool": False},
}
# The side of each block's grid. Of conv1: (224 - 11) / 4 + 1 = 54.
SIDES = {"block1": 27, "block2": 13, "block3": 13, "block4": 13, "block5": 6}
PIXELS = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def body():
    keras.utils.set_random_seed(0)
    body = cnn_f()
    rng = np.random.default_rng(1)
    for name in TABLE:
        bias = body.get_layer(f"{name}_conv").bias
        bias.assign(rng.normal(0, 0.1, bias.shape))
    return body


def test_cnn_f_layers_are_the_publication_s(body):
    for name, row in TABLE.items():
        layer = body.get_layer(f"{name}_conv")
        assert tuple(layer.kernel.shape) == row["kernel"], name
        assert layer.strides == (row["stride"],) * 2, name
    names = {layer.name for layer in body.layers}
    for kind in ("lrn", "pool"):
        found = {name.removesuffix(f"_{kind}") for name in names if name.endswith(f"_{kind}")}
        assert found == {name for name, row in TABLE.items() if row[kind]}
    for name, side in SIDES.items():
        last = body.get_layer(f"{name}_{'pool' if TABLE[name]['pool'] else 'conv'}")
        assert last.output.shape[1:3] == (side, side), name


def test_cnn_f_number_of_parameters_is_the_publication_s(body):
    # kernel height x width x in x out, and out biases, layer by layer:
    # 23,296 + 409,856 + 3 x 590,080 + 37,752,832 + 16,781,312. With the classifier full8, which a
    # body has not (4096 x 1000 + 1000), CNN-F has 60,834,536.
    assert sum(np.prod(weight.shape) for weight in body.trainable_weights) == 56_737_536
    assert [tuple(weight.shape) for weight in body.non_trainable_weights] == [(224, 224, 3)]


def test_cnn_f_forward_pass_equals_numpy_s(body):
    outputs = body(PIXELS, training=False)
    expected_map, expected = reference(body, PIXELS[0])
    assert outputs["feature_map"].shape == (1, 6, 6, 256)
    assert outputs["pooled"].shape == (1, 4096)
    np.testing.assert_allclose(outputs["feature_map"][0], expected_map, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(outputs["pooled"][0], expected, rtol=1e-4, atol=1e-3)
    assert 0.2 < (expected > 0).mean() < 0.8


def test_cnn_f_in_training_drops_half_of_the_full_layers_and_nothing_of_the_map(body):
    quiet, drawn = body(PIXELS, training=False), body(PIXELS, training=True)
    np.testing.assert_allclose(drawn["feature_map"], quiet["feature_map"], rtol=1e-4, atol=1e-3)
    silent = [float((np.array(each["pooled"]) == 0).mean()) for each in (quiet, drawn)]
    assert silent[1] > silent[0] + 0.1


@pytest.mark.parametrize("shape", [(227, 227, 3), (224, 224, 1), (128, 128, 3)])
def test_cnn_f_other_size_raises(shape):
    with pytest.raises(ValueError, match=r"must be \(224, 224, 3\): .*6x6 grid. Received: "):
        cnn_f(shape)


def test_local_response_norm_equals_its_formula():
    x = np.random.default_rng(2).normal(size=(1, 2, 2, 7)).astype(np.float32)
    layer = LocalResponseNorm(radius=2, bias=1.5, alpha=0.3)
    np.testing.assert_allclose(layer(x), normalized(x, 2, 1.5, 0.3), rtol=1e-5)
    assert LocalResponseNorm.from_config(layer.get_config()).get_config() == layer.get_config()


def reference(body, pixels):
    """The map and the pooled vector of one picture, by NumPy and the published table."""
    x = pixels.astype(np.float32) - np.float32([123.68, 116.779, 103.939])
    for name, row in TABLE.items():
        layer = body.get_layer(f"{name}_conv")
        x = convolved(x, layer.kernel.numpy(), layer.bias.numpy(), row["stride"], row["pad"])
        x = np.maximum(x, 0)
        if row["lrn"]:
            x = normalized(x, 2, 2.0, 1e-4)
        if row["pool"]:
            x = pooled(x)
        if name == "block5":
            feature_map = x
    return feature_map, x.reshape(-1)


def convolved(x, kernel, bias, stride, pad):
    height, width = kernel.shape[:2]
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(0, 1))
    return np.einsum("yxchw,hwco->yxo", windows[::stride, ::stride], kernel, optimize=True) + bias


def pooled(x):
    """Maximum of 3x3 with stride 2; windows may reach over the lower and the right edge by one."""
    side = -(-(len(x) - 3) // 2) + 1
    cells = [
        x[2 * row : 2 * row + 3, 2 * column : 2 * column + 3].max(axis=(0, 1))
        for row in range(side)
        for column in range(side)
    ]
    return np.array(cells).reshape(side, side, -1)


def normalized(x, radius, bias, alpha):
    total = np.zeros_like(x)
    for channel in range(x.shape[-1]):
        near = x[..., max(0, channel - radius) : channel + radius + 1]
        total[..., channel] = (near**2).sum(axis=-1)
    return x / (bias + alpha * total) ** 0.75
