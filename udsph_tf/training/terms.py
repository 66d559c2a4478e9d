"""Which losses a batch has, and their weighted sum: the objective of docs/method.md."""

from dataclasses import replace

from keras import ops

from udsph_tf.config import LossConfig
from udsph_tf.losses import (
    bit_balance,
    classification,
    graded_similarity,
    instance_alignment,
    jaccard_similarity,
    level_regression,
    level_weights,
    local_alignment,
    pairwise_likelihood,
    quantization,
    shares_label,
)

__all__ = [
    "TERMS",
    "hasher_terms",
    "label_net_terms",
    "refining_weights",
    "total",
    "unit_length",
]

_OVERLAPS = {
    "dice": graded_similarity,
    "jaccard": jaccard_similarity,
}

TERMS = (
    "feature_similarity",
    "code_similarity",
    "cross_similarity",
    "classification",
    "quantization",
    "bit_balance",
    "instance",
    "adversarial",
    "local",
)
"""Every term of the objective, by the name of its weight."""


def hasher_terms(image, text, label, labels, anchors, loss: LossConfig, attention=None) -> dict:
    """Terms of the two hashers, unweighted; the value of a modality's term is summed over both.

    Args:
        image, text: outputs of the two hashers for n pairs.
        label: outputs of the label net for the n label sets; None leaves it out.
        labels: (n, num_labels), multi-hot; of mixtures of items (`batches.mixed`) shares in [0, 1].
        anchors: outputs of the label net for the U anchors, with their `labels` and `counts`; None
            where no term of them has a weight.
        loss: weights and forms; a term of weight 0 is left out.
        attention: cross-modal attention, or None to leave the local term out.
    """
    terms = {}
    both = (image, text)
    num_bits = image["hash"].shape[-1]
    if loss.feature_similarity or loss.code_similarity:
        target, weights = _pairs(labels, anchors["labels"], loss, anchors["counts"])
    if loss.feature_similarity:
        terms["feature_similarity"] = sum(
            _similarity_loss(target, _feature_cosine(each, anchors), weights, num_bits, loss)
            for each in both
        )
    if loss.code_similarity:
        terms["code_similarity"] = sum(
            _code_loss(target, each, anchors, weights, loss) for each in both
        )
    if loss.cross_similarity:
        within, within_weights = _pairs(labels, labels, loss)
        terms["cross_similarity"] = _code_loss(within, image, text, within_weights, loss)
    if loss.classification:
        terms["classification"] = sum(classification(labels, each["label_logits"]) for each in both)
    if loss.quantization:
        joined = image["hash"] + text["hash"] + (0.0 if label is None else label["hash"])
        codes = ops.where(joined >= 0, 1.0, -1.0)
        terms["quantization"] = sum(quantization(codes, each["hash"]) for each in both)
    if loss.bit_balance:
        terms["bit_balance"] = sum(bit_balance(each["hash"]) for each in both)
    if loss.instance:
        terms["instance"] = _mean(
            instance_alignment(
                cosine, loss.instance_temperature * max(1.0, loss.instance_bits / length)
            )
            for length, cosine in _hash_cosines(image, text, loss)
        )
    if loss.local and attention is not None:
        few = slice(0, loss.local_items)
        scores = attention(image["regions"][few], text["words"][few], text["word_mask"][few])
        similar = shares_label(labels[few], labels[few])
        if loss.local_form == "hinge":
            terms["local"] = local_alignment(similar, scores)
        else:
            # A cosine of 1 becomes theta = 10: as sure as ten more agreeing than differing bits.
            terms["local"] = pairwise_likelihood(
                similar, 10.0 * scores, level_weights(similar, balance=loss.balance_pairs)
            )
    return terms


def label_net_terms(batch, labels, anchors, loss: LossConfig) -> dict:
    """Terms of the label net for label sets (n, num_labels), against all anchors, unweighted."""
    target, weights = _pairs(labels, anchors["labels"], loss)
    num_bits = batch["hash"].shape[-1]
    terms = {
        "code_similarity": _code_loss(target, batch, anchors, weights, loss),
        "feature_similarity": _similarity_loss(
            target, _feature_cosine(batch, anchors), weights, num_bits, loss
        ),
        "classification": classification(labels, batch["label_logits"]),
        "quantization": quantization(ops.where(batch["hash"] >= 0, 1.0, -1.0), batch["hash"]),
        "bit_balance": bit_balance(anchors["hash"]),
    }
    return {name: value for name, value in terms.items() if getattr(loss, name)}


def refining_weights(loss: LossConfig) -> LossConfig:
    """The weights of the stage `refine`: what a hash head alone can still better.

    The codes of the two modalities answer to each other and no longer to the label net's.
    """
    return replace(
        loss,
        feature_similarity=0.0,
        code_similarity=0.0,
        cross_similarity=loss.code_similarity + loss.cross_similarity,
        classification=0.0,
        adversarial=0.0,
        local=0.0,
    )


def total(terms: dict, loss: LossConfig):
    """sum over terms of weight times value."""
    return sum((getattr(loss, name) * value for name, value in terms.items()), start=0.0)


def _pairs(a, b, loss: LossConfig, counts=None):
    """Targets and weights of all pairs of label sets."""
    if loss.similarity_form == "likelihood":
        target = shares_label(a, b)
    else:
        target = _OVERLAPS[loss.overlap](a, b) ** loss.overlap_power
    return target, level_weights(target, counts, balance=loss.balance_pairs)


def _hash_cosines(a, b, loss: LossConfig):
    """(L, 2 theta / L) for each code length L that the loss looks at, theta of the first L bits.

    <h_i, h_j> / L, in (-1, 1). Inner products of longer prefixes add to those of shorter ones, so
    nested lengths cost no more than the longest.
    """
    start, inner = 0, 0.0
    for length in loss.nested_lengths() or (a["hash"].shape[-1],):
        part = slice(start, length)
        inner = inner + ops.matmul(a["hash"][:, part], ops.transpose(b["hash"][:, part]))
        yield length, inner / length
        start = length


def _code_loss(target, a, b, weights, loss: LossConfig):
    """The similarity loss of relaxed hashes, its mean over nested lengths."""
    return _mean(
        _similarity_loss(target, cosine, weights, length, loss)
        for length, cosine in _hash_cosines(a, b, loss)
    )


def _mean(values):
    values = list(values)
    return sum(values[1:], start=values[0]) / len(values)


def _feature_cosine(a, b):
    """2 theta / K of features scaled to length sqrt(K): their cosine."""
    return ops.matmul(unit_length(a["features"]), ops.transpose(unit_length(b["features"])))


def _similarity_loss(target, cosine, weights, num_bits: int, loss: LossConfig):
    """Likelihood of theta = cosine K / 2, or regression of the cosine to the target levels."""
    if loss.similarity_form == "levels":
        return level_regression(target, cosine, weights)
    return pairwise_likelihood(target, cosine * (num_bits / 2), weights)


def unit_length(features):
    """Vectors scaled to length 1 along the last axis; zero stays zero."""
    return features * ops.rsqrt(ops.sum(ops.square(features), axis=-1, keepdims=True) + 1e-12)
