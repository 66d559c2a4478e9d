"""The plain methods: from inputs, and labels of the training items, to codes or vectors of all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from baselines.classifiers import posteriors
from baselines.projections import canonical_correlations, quantizing_rotation, random_directions
from baselines.reading import unit_length
from udsph_tf.codes import binarize, pack

__all__ = ["Items", "Outcome", "outcomes"]

# Chosen on validation items of `fashion`, one seed, by the mean of coarse and fine MAP in both
# directions. Codes of 64 bits, correlations to the power of 0, 1, 2, 3, 4, 6: .576, .697, .760,
# .780, .789, .785; with the power of 4, ridge .1 and .3: .785, .789. Vectors are there for an
# item's own photo, found among the first ten by 12.0% of names with the power of 1, by 11.6% with
# that of 1/2, and by 11.5% with 128 directions.
_RIDGE, _DIRECTIONS = 0.3, 256
_POWER_OF_CODES, _POWER_OF_VECTORS = 4, 1
# Dropout of .7, or weight decay, made no difference to the second; sparse words need larger steps.
_CLASSIFIERS = {
    "linear": {
        "image": {"hidden": 0, "dropout": 0.0, "epochs": 20, "learning_rate": 1e-3},
        "text": {"hidden": 0, "dropout": 0.0, "epochs": 20, "learning_rate": 1e-2},
    },
    "two-layer": {
        modality: {"hidden": 1024, "dropout": 0.5, "epochs": 30, "learning_rate": 1e-3}
        for modality in ("image", "text")
    },
}
# With equal weights, the many articleTypes drown the subCategory that coarse MAP asks for. Random
# projection at 32 bits with weight 1, 1.25, 1.5, 2: .868, .887, .895, .896; at 64 bits .906, .908,
# .908, .908; ITQ at 32 bits .853, .862, .872, .870. Vectors need none: .943, .941, .940, .937.
_GROUP_WEIGHTS = {"subCategory": 1.5}
_LEAST = 1e-6  # probability that a label has at least, where logarithms are taken
_BLOCK = 4096

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Items:
    """What the methods are given of all n items.

    Args:
        inputs: "image" and "text", (n, d) float32 each.
        labels: (n, num_labels) of 0 and 1, one of each group. Methods read those of the training
            items alone; the oracle reads all of them.
        groups: columns of the labels by group.
        train: rows of the training items.
    """

    inputs: Arrays
    labels: np.ndarray
    groups: Mapping[str, Sequence[int]]
    train: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a method makes of every item: one row of a table.

    Args:
        method: its name.
        num_bits: length of the codes; None for vectors, and for one code for all.
        arrays: "image" and "text", of all items: packed codes, or vectors.
    """

    method: str
    num_bits: int | None
    arrays: Arrays


def outcomes(items: Items, lengths: Sequence[int], seed: int) -> Iterator[Outcome]:
    """Every method at every code length, the weakest first."""
    # One code for all ties everything, and ties are averaged over all orders.
    same = np.zeros((len(items.labels), 1), dtype=np.uint8)
    yield Outcome("random order", None, {"image": same, "text": same})
    yield from _correlated(items, lengths, seed)
    for name, settings in _CLASSIFIERS.items():
        found = {
            modality: posteriors(
                features,
                items.labels,
                items.groups,
                items.train,
                seed=seed,
                **settings[modality],
            )
            for modality, features in items.inputs.items()
        }
        yield from _classified(f"{name} classifiers", found, items, lengths, seed)
    truth = dict.fromkeys(items.inputs, items.labels.astype(np.float32))
    yield from _projected("oracle: true labels + random projection", truth, items, lengths, seed)


def _correlated(items: Items, lengths: Sequence[int], seed: int) -> Iterator[Outcome]:
    """Canonical directions, scaled by their correlation, as they are and quantized."""
    centred = {name: each - each[items.train].mean(axis=0) for name, each in items.inputs.items()}
    found = canonical_correlations(
        centred["image"][items.train], centred["text"][items.train], _RIDGE, _DIRECTIONS
    )
    placed = {"image": centred["image"] @ found.first, "text": centred["text"] @ found.second}
    vectors = _each(lambda each: unit_length(each * found.correlations**_POWER_OF_VECTORS), placed)
    yield Outcome("CCA, real-valued", None, vectors)
    scaled = _each(lambda each: each * found.correlations**_POWER_OF_CODES, placed)
    for num_bits in lengths:
        first = {name: each[:, :num_bits] for name, each in scaled.items()}
        yield _quantized("CCA + ITQ", first, items.train, num_bits, seed)


def _classified(
    name: str, found: Arrays, items: Items, lengths: Sequence[int], seed: int
) -> Iterator[Outcome]:
    """Probabilities of labels as they are, and made codes in three ways."""
    yield Outcome(f"{name}, real-valued", None, found)
    yield from _looked_up(f"{name} + class code book", found, items, lengths, seed)
    yield from _projected(f"{name} + random projection", found, items, lengths, seed)
    weighted = _each(lambda each: each * _weights(items), found)
    for num_bits in lengths:
        yield _quantized(f"{name} + ITQ", weighted, items.train, num_bits, seed)


def _looked_up(
    name: str, found: Arrays, items: Items, lengths: Sequence[int], seed: int
) -> Iterator[Outcome]:
    """A code for every label set of the training items; an item's is their weighted vote.

    Label sets, not labels, are the classes: two equal votes of +1 and -1 would decide nothing.
    """
    classes = np.unique(items.labels[items.train], axis=0).astype(np.float32)
    placed = (classes - items.labels[items.train].mean(axis=0)) * _weights(items)
    book = [
        binarize(placed @ random_directions(placed.shape[1], num_bits, seed))
        for num_bits in lengths
    ]
    ends = np.cumsum(lengths)
    book = np.concatenate(book, axis=1).astype(np.float32)

    def votes(probabilities: np.ndarray) -> np.ndarray:
        # The groups count as independent: a label set is as likely as all of its labels.
        logs = np.log(np.maximum(probabilities, _LEAST)) @ classes.T
        likely = np.exp(logs - logs.max(axis=1, keepdims=True))
        return likely @ book

    cast = _each(lambda each: _in_blocks(votes, each), found)
    for num_bits, end in zip(lengths, ends, strict=True):
        yield _coded(name, {key: each[:, end - num_bits : end] for key, each in cast.items()})


def _projected(
    name: str, found: Arrays, items: Items, lengths: Sequence[int], seed: int
) -> Iterator[Outcome]:
    """Signs of random projections of weighted, centred vectors."""
    centred = _each(lambda each: each * _weights(items), found)
    mean = _stacked(centred, items.train).mean(axis=0)
    for num_bits in lengths:
        directions = random_directions(len(mean), num_bits, seed)
        yield _coded(name, _each(lambda each, to=directions: (each - mean) @ to, centred))


def _quantized(name: str, vectors: Arrays, train: np.ndarray, num_bits: int, seed: int) -> Outcome:
    """Iterative quantization of both modalities together."""
    stacked = _stacked(vectors, train)
    mean = stacked.mean(axis=0)
    rotation = quantizing_rotation(stacked - mean, num_bits, seed)
    return _coded(name, _each(lambda each: (each - mean) @ rotation, vectors))


def _coded(name: str, values: Arrays) -> Outcome:
    packed = _each(lambda each: pack(binarize(each)), values)
    return Outcome(name, 8 * packed["image"].shape[1], packed)


def _weights(items: Items) -> np.ndarray:
    weights = np.ones(items.labels.shape[1], dtype=np.float32)
    for group, weight in _GROUP_WEIGHTS.items():
        weights[items.groups.get(group, [])] = weight
    return weights


def _each(function: Callable[[np.ndarray], np.ndarray], arrays: Arrays) -> dict[str, np.ndarray]:
    return {modality: function(array) for modality, array in arrays.items()}


def _stacked(arrays: Arrays, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([array[rows] for array in arrays.values()])


def _in_blocks(function: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    starts = range(0, len(array), _BLOCK)
    return np.concatenate([function(array[start : start + _BLOCK]) for start in starts])
