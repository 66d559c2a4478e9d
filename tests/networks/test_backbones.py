"""Backbones of keras.applications and KerasHub; the presets are made here, tiny."""

import keras
import keras_hub
import numpy as np
import pytest

from udsph_tf.litert import LiteRTModel, convert_model
from udsph_tf.networks import keras_application, keras_hub_image
from udsph_tf.networks.colour_map import colour_map_of

SIZE = 32
PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """Folder of a ViT of two layers that reads 8x8 patches, and its backbone."""
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(SIZE, SIZE, 3),
        patch_size=(8, 8),
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    folder = tmp_path_factory.mktemp("presets") / "small-vit"
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.ViTImageConverter(
        image_size=(SIZE, SIZE), scale=[1 / 50, 1 / 60, 1 / 70], offset=[-2.0, -1.5, -1.0]
    )
    converter.save_to_preset(str(folder))
    return folder, backbone


def test_keras_hub_image_carries_its_own_scaling_and_leaves_the_class_token_out(vit):
    folder, backbone = vit
    body = keras_hub_image(str(folder), SIZE)
    outputs = body(PIXELS, training=False)
    scaled = PIXELS / np.array([50.0, 60.0, 70.0]) + np.array([-2.0, -1.5, -1.0])
    tokens = np.array(backbone(scaled.astype(np.float32), training=False))
    assert tokens.shape == (3, 17, 8)  # a class token and 4x4 patches
    expected = tokens[:, 1:].reshape(3, 4, 4, 8)
    np.testing.assert_allclose(outputs["feature_map"], expected, atol=1e-4)
    np.testing.assert_allclose(outputs["pooled"], expected.mean(axis=(1, 2)), atol=1e-4)
    assert body.name == "keras_hub_small_vit"


@pytest.mark.slow
def test_keras_hub_image_in_litert_computes_what_keras_does(vit):
    folder, _ = vit
    body = keras_hub_image(str(folder), SIZE)
    found = LiteRTModel(convert_model(body)).run(PIXELS)
    for name, expected in body(PIXELS, training=False).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-3, err_msg=name)


def test_keras_hub_image_random_weights_are_not_the_preset_s(vit):
    folder, backbone = vit
    random = keras_hub_image(str(folder), SIZE, random_weights=True)
    kernels = [each.numpy() for each in random.weights if each.path.endswith("kernel")]
    own = [each.numpy() for each in backbone.weights if each.path.endswith("kernel")]
    assert len(kernels) == len(own)
    assert not all(np.array_equal(one, two) for one, two in zip(kernels, own, strict=True))


def test_keras_hub_image_other_size_raises_with_the_right_one(vit):
    with pytest.raises(ValueError, match=r"reads pictures of 32x32: set image.size=32. .*=64"):
        keras_hub_image(str(vit[0]), 64)


def test_keras_hub_image_preset_without_converter_raises_with_the_remedy(vit, tmp_path):
    vit[1].save_to_preset(str(tmp_path / "bare"))
    with pytest.raises(ValueError, match="does not say how its pixels are scaled .*save_to_preset"):
        keras_hub_image(str(tmp_path / "bare"), SIZE)


@pytest.mark.parametrize("preset", ["./no-such-folder", "/no/such/folder", "~/no-such-folder"])
def test_keras_hub_image_missing_folder_raises(preset):
    with pytest.raises(FileNotFoundError, match=f"There is no preset folder {preset}"):
        keras_hub_image(preset, SIZE)


def test_keras_application_carries_its_own_preprocessing(tmp_path):
    keras.utils.set_random_seed(0)
    plain = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )
    plain.save_weights(tmp_path / "own.weights.h5")
    body = keras_application("MobileNetV2", SIZE, str(tmp_path / "own.weights.h5"))
    # MobileNetV2 reads numbers from -1 to 1.
    expected = np.array(plain(PIXELS / 127.5 - 1, training=False))
    outputs = body(PIXELS, training=False)
    np.testing.assert_allclose(outputs["feature_map"], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs["pooled"], expected.mean(axis=(1, 2)), rtol=1e-3, atol=1e-4)
    assert body.name == "keras_mobilenetv2"


def test_keras_application_unknown_name_raises_with_the_nearest():
    with pytest.raises(ValueError, match="Unknown `image.preset`: 'MobilNetV2'.*MobileNetV2"):
        keras_application("MobilNetV2", SIZE)


def test_keras_application_missing_weights_file_raises():
    with pytest.raises(FileNotFoundError, match="There is no weights file own.h5"):
        keras_application("MobileNetV2", SIZE, "own.h5")


def test_colour_map_of_caffe_style_turns_the_channels_around_and_takes_the_mean_off():
    preprocess = keras.applications.vgg16.preprocess_input
    matrix, offset = colour_map_of(preprocess, 8, "VGG16")
    np.testing.assert_allclose(matrix, np.eye(3)[::-1], atol=1e-5)
    np.testing.assert_allclose(offset, [-103.939, -116.779, -123.68], atol=1e-3)


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        (lambda x: x**2, "does more than scale, shift and reorder colours"),
        (lambda x: x * np.linspace(0, 1, 8)[:, None], "does more than scale, shift and reorder"),
        (lambda x: x[:, 1:-1, 1:-1], r"must keep the shape of a picture. .*\(6, 6, 3\)"),
    ],
)
def test_colour_map_of_anything_else_raises(preprocess, message):
    with pytest.raises(ValueError, match=message):
        colour_map_of(preprocess, 8, "a network")
