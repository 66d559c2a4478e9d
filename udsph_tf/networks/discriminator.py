"""The discriminator: does a sample come from the label net, or from a hasher?"""

import keras
from keras import layers, ops

__all__ = ["discriminator"]


def discriminator(
    dim: int,
    *,
    hidden_dim: int = 256,
    num_labels: int = 0,
    spectral_norm: bool = False,
    name: str,
) -> keras.Model:
    """A functional model from samples (n, dim) to one logit (n, 1); positive says "label net".

    Args:
        dim: length of a sample.
        hidden_dim: width.
        num_labels: C, to judge a sample together with its labels: the logit gets <V y, phi(x)>,
            with phi the last hidden layer, and the model's input is a dict of `sample` and
            `labels` (n, C). 0 leaves labels out; the input is the sample alone.
        spectral_norm: divide each kernel by its largest singular value.
        name: the model's name.

    Sources: Li et al., CVPR 2018 (SSAH), section 3.4: one discriminator for each modality; Miyato
    and Koyama, ICLR 2018 (projection discriminator), eq. 4; Miyato et al., ICLR 2018 (spectral
    normalization).
    """

    def dense(units, **kwargs):
        layer = layers.Dense(units, **kwargs)
        return layers.SpectralNormalization(layer, name=kwargs["name"]) if spectral_norm else layer

    sample = keras.Input((dim,), name="sample")
    x = dense(hidden_dim, activation="leaky_relu", name="hidden")(sample)
    x = dense(hidden_dim // 2, activation="leaky_relu", name="hidden_2")(x)
    logit = dense(1, name="logit")(x)
    if not num_labels:
        return keras.Model(sample, logit, name=name)
    labels = keras.Input((num_labels,), name="labels")
    expected = dense(hidden_dim // 2, use_bias=False, name="expected")(labels)
    agreement = ops.sum(x * expected, axis=-1, keepdims=True)
    return keras.Model({"sample": sample, "labels": labels}, logit + agreement, name=name)
