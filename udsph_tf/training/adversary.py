"""What the discriminators see of the networks, and what they minimise."""

import keras
import tensorflow as tf
from keras import ops

from udsph_tf.config import LossConfig
from udsph_tf.losses import discrimination
from udsph_tf.networks.discriminator import discriminator
from udsph_tf.training.terms import unit_length

__all__ = ["build_discriminator", "discriminator_loss", "ramp", "sample", "verdict"]


def build_discriminator(label_net: keras.Model, loss: LossConfig, name: str) -> keras.Model:
    """A discriminator of what `loss` wants to be looked at."""
    labels = label_net.input.shape[-1] if loss.adversarial_labels else 0
    return discriminator(
        label_net.output[loss.adversarial_on].shape[-1],
        num_labels=labels,
        spectral_norm=loss.adversarial_spectral_norm,
        name=name,
    )


def sample(outputs: dict, loss: LossConfig, seed):
    """What a discriminator sees of a network: a direction, with noise where wanted.

    Features or relaxed hashes are scaled to unit length, so that the verdict rests on their
    direction, which is all that the similarity terms use too. The label net's are one point for
    each label set; noise of length `adversarial_noise` makes a cloud of it that hashers can reach.

    Args:
        outputs: of the label net or of a hasher, for n items.
        loss: says what is looked at, and how much noise there is.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        (n, dim).
    """
    unit = unit_length(outputs[loss.adversarial_on])
    if not loss.adversarial_noise:
        return unit
    deviation = loss.adversarial_noise / unit.shape[-1] ** 0.5
    return unit + keras.random.normal(ops.shape(unit), stddev=deviation, seed=seed)


def verdict(network: keras.Model, samples, labels, loss: LossConfig, training: bool = False):
    """(n, 1) logits of a discriminator for samples, with their labels where it reads them."""
    inputs = {"sample": samples, "labels": labels} if loss.adversarial_labels else samples
    return network(inputs, training=training)


def discriminator_loss(network: keras.Model, real, fake, labels, loss: LossConfig, seed):
    """BCE of the two verdicts, with the gradient penalty, and the share of right verdicts.

    The penalty is mean_i (|grad D(x_i)| - 1)^2 at points between real and fake samples.

    Source: Gulrajani et al., NeurIPS 2017, eq. 3, beside the cross-entropy.
    """
    real_logits = verdict(network, real, labels, loss, training=True)
    fake_logits = verdict(network, fake, labels, loss, training=True)
    value = discrimination(real_logits, fake_logits)
    if loss.gradient_penalty:
        share = keras.random.uniform((ops.shape(real)[0], 1), seed=seed)
        between = share * real + (1 - share) * fake
        with tf.GradientTape() as tape:
            tape.watch(between)
            logits = verdict(network, between, labels, loss)
        gradient = tape.gradient(logits, between)
        length = ops.sqrt(ops.sum(ops.square(gradient), axis=1) + 1e-12)
        value = value + loss.gradient_penalty * ops.mean(ops.square(length - 1))
    right = ops.cast(real_logits > 0, "float32") + ops.cast(fake_logits <= 0, "float32")
    return value, ops.mean(right) / 2


def ramp(steps, loss: LossConfig):
    """How much of its weight the adversarial term has after so many joint steps, in [0, 1].

    It rises evenly over `adversarial_warmup` steps and then falls to 0 over `adversarial_decay`;
    0 leaves out either.

    Example:
        >>> from udsph_tf.config import LossConfig
        >>> loss = LossConfig(adversarial_warmup=10, adversarial_decay=20)
        >>> [float(ramp(steps, loss)) for steps in (5, 20)]
        [0.5, 0.5]
    """
    steps = ops.cast(steps, "float32")
    share = ops.ones_like(steps)
    if loss.adversarial_warmup:
        share = ops.minimum(share, steps / loss.adversarial_warmup)
    if loss.adversarial_decay:
        fallen = (steps - loss.adversarial_warmup) / loss.adversarial_decay
        share = ops.minimum(share, ops.maximum(1.0 - fallen, 0.0))
    return share
