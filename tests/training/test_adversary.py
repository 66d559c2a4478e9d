import keras
import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.config import LossConfig
from udsph_tf.networks import discriminator, label_net
from udsph_tf.training.adversary import build_discriminator, discriminator_loss, ramp, sample

RNG = np.random.default_rng(0)


def test_sample_without_noise_is_the_direction():
    features = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    shown = sample({"features": features}, LossConfig(), None)
    np.testing.assert_allclose(shown, [[0.6, 0.8], [0, 0]], atol=1e-6)


def test_sample_on_hash_looks_at_the_relaxed_hashes():
    outputs = {"features": np.ones((1, 3), np.float32), "hash": np.array([[0, 2.0]], np.float32)}
    np.testing.assert_allclose(sample(outputs, LossConfig(adversarial_on="hash"), None), [[0, 1]])


def test_sample_noise_has_the_wanted_length():
    features = np.zeros((400, 256), np.float32)
    seed = keras.random.SeedGenerator(0)
    shown = np.array(sample({"features": features}, LossConfig(adversarial_noise=0.5), seed))
    # 400 lengths of 256 draws each: their mean deviates by about 0.5 / sqrt(2 * 256 * 400).
    assert np.linalg.norm(shown, axis=1).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("on", ["features", "hash"])
@pytest.mark.parametrize("labels", [False, True])
def test_build_discriminator_reads_what_the_configuration_says(on, labels):
    net = label_net(5, num_bits=16, feature_dim=6)
    loss = LossConfig(adversarial_on=on, adversarial_labels=labels)
    model = build_discriminator(net, loss, "d")
    dim = 16 if on == "hash" else 6
    if labels:
        assert {name: each.shape for name, each in model.input.items()} == {
            "sample": (None, dim),
            "labels": (None, 5),
        }
    else:
        assert model.input.shape == (None, dim)


def test_discriminator_loss_penalty_of_a_linear_verdict_is_the_squared_excess_of_its_length():
    # D(f) = 3 f_1 + 4 f_2 has a gradient of length 5 everywhere: (5 - 1)^2 = 16.
    features = keras.Input((2,))
    network = keras.Model(features, keras.layers.Dense(1, use_bias=False)(features))
    network.set_weights([np.array([[3.0], [4.0]])])
    real, fake = (tf.constant(RNG.normal(size=(6, 2)), tf.float32) for _ in range(2))
    seed = keras.random.SeedGenerator(0)
    values = [
        float(discriminator_loss(network, real, fake, None, LossConfig(**weight), seed)[0])
        for weight in ({"gradient_penalty": 2.0}, {"gradient_penalty": 0.0})
    ]
    assert values[0] - values[1] == pytest.approx(32, 1e-5)


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_discriminator_loss_at_extreme_samples_has_a_finite_gradient(scale, spectral_norm):
    network = discriminator(8, hidden_dim=6, num_labels=2, spectral_norm=spectral_norm, name="d")
    real, fake = (tf.constant(scale * RNG.normal(size=(6, 8)), tf.float32) for _ in range(2))
    loss, labels = LossConfig(adversarial_labels=True), tf.ones((6, 2))
    with tf.GradientTape() as tape:
        value, accuracy = discriminator_loss(
            network, real, fake, labels, loss, keras.random.SeedGenerator(0)
        )
    assert np.isfinite(value) and 0 <= accuracy <= 1
    for gradient in tape.gradient(value, network.trainable_variables):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("warmup", "decay", "expected"),
    [(0, 0, [1, 1, 1]), (20, 0, [0, 0.5, 1]), (0, 20, [1, 0.5, 0]), (10, 10, [0, 1, 0])],
)
def test_ramp_rises_then_falls(warmup, decay, expected):
    loss = LossConfig(adversarial_warmup=warmup, adversarial_decay=decay)
    assert [float(ramp(steps, loss)) for steps in (0, 10, 20)] == expected
