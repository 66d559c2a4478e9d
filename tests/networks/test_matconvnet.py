"""MatConvNet files, made here as MATLAB wrote them: structures, cells, row vectors."""

import numpy as np
import pytest
from scipy.io import savemat

from udsph_tf.networks import cnn_f
from udsph_tf.networks.matconvnet import load_cnn_f_weights, read_matconvnet

# `imagenet-vgg-f.mat`, layer by layer: type, name, kernel, stride, padding.
CONVOLUTIONS = [
    ("conv1", (11, 11, 3, 64), 4, 0),
    ("conv2", (5, 5, 64, 256), 1, 2),
    ("conv3", (3, 3, 256, 256), 1, 1),
    ("conv4", (3, 3, 256, 256), 1, 1),
    ("conv5", (3, 3, 256, 256), 1, 1),
    ("fc6", (6, 6, 256, 4096), 1, 0),
    ("fc7", (1, 1, 4096, 4096), 1, 0),
    ("fc8", (1, 1, 4096, 1000), 1, 0),
]
SMALL = [("conv1", (2, 2, 3, 4), 1, 0), ("fc2", (1, 1, 4, 5), 1, 0)]
MEAN = np.random.default_rng(9).uniform(90, 130, (224, 224, 3)).astype(np.float32)


def network(convolutions=SMALL, form="weights", mean=MEAN, values=None):
    """Variables of a file; `form` is "filters", as of beta 8, "weights" or "net", as of beta 17."""
    rng = np.random.default_rng(0)
    layers = []
    for name, shape, stride, pad in convolutions:
        kernel = rng.normal(0, 0.01, shape).astype(np.float32) if values is None else values(shape)
        bias = np.arange(shape[-1], dtype=np.float32)
        layer = {
            "type": "conv",
            "name": name,
            "stride": np.array([[stride, stride]], "float64"),
            "pad": np.full((1, 4), pad, "float64"),
        }
        if form == "filters":
            layer |= {"filters": kernel, "biases": bias[None]}
        else:
            layer["weights"] = cell([kernel, bias[:, None]])
        layers.append(layer)
        layers.append({"type": "relu", "name": f"relu{name[-1]}"})
        if name in ("conv1", "conv2"):
            param = np.array([[5, 2, 1e-4, 0.75]])
            layers.append({"type": "lrn", "name": f"norm{name[-1]}", "param": param})
    normalization = {"averageImage": mean, "imageSize": np.array([[224.0, 224.0, 3.0]])}
    net = {"layers": cell(layers)}
    if form == "net":
        return {"net": {**net, "meta": {"normalization": normalization}}}
    return {**net, "normalization": normalization, "classes": {"name": cell(["tench", "shark"])}}


def cell(values):
    """A MATLAB cell of one row."""
    row = np.empty((1, len(values)), dtype=object)
    row[0, :] = values
    return row


@pytest.fixture(scope="module")
def body():
    return cnn_f()


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    """A file of CNN-F's own shapes, every kernel a slowly rising pattern."""

    def pattern(shape):
        return np.resize(np.linspace(-0.02, 0.03, 997, dtype=np.float32), shape)

    path = tmp_path_factory.mktemp("matconvnet") / "imagenet-vgg-f.mat"
    savemat(path, network(CONVOLUTIONS, values=pattern))
    return path


@pytest.mark.parametrize("form", ["filters", "weights", "net"])
def test_read_matconvnet_every_structure_gives_the_same_layers(tmp_path, form):
    savemat(tmp_path / "net.mat", network(form=form))
    layers, mean = read_matconvnet(tmp_path / "net.mat")
    assert [each["name"] for each in layers] == ["conv1", "fc2"]
    expected = np.random.default_rng(0).normal(0, 0.01, (2, 2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(layers[0]["kernel"], expected)
    assert layers[1]["bias"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(mean, MEAN)


def test_read_matconvnet_compressed_file_and_mean_colour(tmp_path):
    colour = np.float32([[[123.7, 116.8, 103.9]]])
    savemat(tmp_path / "net.mat", network(mean=colour), do_compression=True)
    _, mean = read_matconvnet(tmp_path / "net.mat")
    np.testing.assert_array_equal(mean, colour.ravel())


def test_load_cnn_f_weights_sets_every_weight_and_the_mean_image(body, whole_file):
    load_cnn_f_weights(body, whole_file)
    found, _ = read_matconvnet(whole_file)
    for number, each in enumerate(found[:7], start=1):
        layer = body.get_layer(f"block{number}_conv")
        kernel = layer.kernel.numpy()
        np.testing.assert_array_equal(kernel.ravel(), each["kernel"].ravel())
        assert layer.bias.numpy().tolist() == list(range(kernel.shape[-1]))
    np.testing.assert_array_equal(body.get_layer("mean_image").mean.numpy(), MEAN)


@pytest.mark.parametrize(
    ("convolutions", "mean", "message"),
    [
        (SMALL, MEAN, r"must hold the seven layers conv1 to full7 .* Received: \['conv1', 'fc2'\]"),
        (
            [("conv1", (3, 3, 3, 64), 4, 0), *CONVOLUTIONS[1:2] * 6],
            MEAN,
            r"another network than CNN-F: its layer conv1 must have filters of shape "
            r"\(11, 11, 3, 64\) and 64 biases. Received: \(3, 3, 3, 64\)",
        ),
        (
            [("conv1", (11, 11, 3, 64), 2, 0), *CONVOLUTIONS[1:2] * 6],
            MEAN,
            r"another network than CNN-F: the stride of conv1 must be 4. Received: \[2\]",
        ),
    ],
)
def test_load_cnn_f_weights_of_another_network_raises_and_changes_nothing(
    body, tmp_path, convolutions, mean, message
):
    savemat(tmp_path / "net.mat", network(convolutions, mean=mean))
    before = body.get_layer("block1_conv").kernel.numpy()
    with pytest.raises(ValueError, match=message):
        load_cnn_f_weights(body, tmp_path / "net.mat")
    np.testing.assert_array_equal(body.get_layer("block1_conv").kernel.numpy(), before)


def test_read_matconvnet_weights_that_are_not_finite_raise(tmp_path):
    values = network(values=lambda shape: np.full(shape, np.nan, np.float32))
    savemat(tmp_path / "net.mat", values)
    with pytest.raises(ValueError, match="net.mat, conv1 holds weights that are not finite"):
        read_matconvnet(tmp_path / "net.mat")


def test_read_matconvnet_layer_without_weights_raises(tmp_path):
    values = network()
    del values["layers"][0, 0]["weights"]
    savemat(tmp_path / "net.mat", values)
    with pytest.raises(ValueError, match="conv1 has neither `weights` nor `filters` and `biases`"):
        read_matconvnet(tmp_path / "net.mat")


@pytest.mark.parametrize("shape", [(224, 224), (224, 224, 4), (2, 2, 2, 3)])
def test_read_matconvnet_odd_mean_image_raises(tmp_path, shape):
    savemat(tmp_path / "net.mat", network(mean=np.zeros(shape, np.float32)))
    with pytest.raises(ValueError, match=r"`averageImage` must be \(height, width, 3\) or three"):
        read_matconvnet(tmp_path / "net.mat")


def test_read_matconvnet_missing_file_names_its_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*vgg-f.mat. .*matconvnet/pretrained"):
        read_matconvnet(tmp_path / "imagenet-vgg-f.mat")


def test_read_matconvnet_some_other_mat_file_raises(tmp_path):
    savemat(tmp_path / "labels.mat", {"LAll": np.eye(3)})
    with pytest.raises(ValueError, match="holds no MatConvNet network: `layers` or"):
        read_matconvnet(tmp_path / "labels.mat")


def test_read_matconvnet_version_7_3_names_the_remedy(tmp_path):
    import h5py

    path = tmp_path / "net.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["layers"] = np.zeros(3)
    data = bytearray(path.read_bytes())
    # MATLAB's own text at the head of such a file, its version 2.0 and the order of its bytes.
    data[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"is a MATLAB 7.3 file. Save it .*'-v7'"):
        read_matconvnet(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.95])
def test_read_matconvnet_half_downloaded_file_raises(tmp_path, share):
    savemat(tmp_path / "cut.mat", network())
    with open(tmp_path / "cut.mat", "r+b") as file:
        file.truncate(int(share * (tmp_path / "cut.mat").stat().st_size))
    with pytest.raises(ValueError, match=r"cut.mat is not a MATLAB 5 file, or is cut off"):
        read_matconvnet(tmp_path / "cut.mat")


def test_read_matconvnet_web_page_in_its_place_raises(tmp_path):
    (tmp_path / "net.mat").write_text("<!DOCTYPE html><html>404</html>" * 40)
    with pytest.raises(ValueError, match="is not a MATLAB 5 file"):
        read_matconvnet(tmp_path / "net.mat")
