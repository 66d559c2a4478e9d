"""Do two sets of codes come from one distribution? A permutation test of the energy distance."""

from typing import NamedTuple

import numpy as np

from udsph_tf.codes import hamming_distance

__all__ = ["EnergyTest", "energy_test"]

_BLOCK = 250


class EnergyTest(NamedTuple):
    """What `energy_test` finds.

    Args:
        p_value: chance of an energy distance as great as this one if there were no difference.
        coefficient: the energy distance as a share of its greatest value, in [0, 1]: how much the
            two differ, whatever their sizes.

    Example:
        >>> EnergyTest(p_value=0.001, coefficient=0.25).p_value
        0.001
    """

    p_value: float
    coefficient: float


def energy_test(
    first: np.ndarray,
    second: np.ndarray,
    *,
    most_items: int = 1000,
    permutations: int = 999,
    seed: int = 0,
) -> EnergyTest:
    """Test whether two sets of packed codes differ in their distribution.

    With d(a, b) = sqrt(Hamming distance), which is the Euclidean one up to a factor,

        E = 2 mean d(x, y) - mean d(x, x') - mean d(y, y')

    is 0 if, and only if, x and y have one distribution: it sees bits that are set more often, and
    bits that go together in another way. The p-value is the rank of E among the values that the
    same codes give when they are dealt out to the two sets anew, so a test at p <= a raises a false
    alarm in a share `a` of cases at most, whatever the codes are like, as long as the items of one
    set are as independent of each other as those of the other.

    Source: Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", J. of
    Statistical Planning and Inference 143(8), 2013; the rank as p-value: Phipson and Smyth,
    "Permutation P-values should never be zero", 2010.

    Args:
        first: (n, num_bits / 8) uint8.
        second: (m, num_bits / 8) uint8.
        most_items: of a set that are compared; of more a random choice. The matrix of their
            distances is (2 most_items)^2 large.
        permutations: how often codes are dealt out anew; the least p-value is 1 / (this + 1).
        seed: of the choice and of the permutations.

    Raises:
        ValueError: a set has fewer than two codes, or their lengths differ.

    Example:
        >>> random = np.random.default_rng(1)
        >>> codes = random.integers(0, 256, (600, 2)).astype(np.uint8)
        >>> energy_test(codes[:300], codes[300:] | 1).p_value
        0.001
        >>> energy_test(codes[:300], codes[300:]).p_value > 0.05
        True
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(
            "Two sets of at least 2 codes are needed to compare them. "
            f"Received: {len(first)} and {len(second)}"
        )
    random = np.random.default_rng(seed)
    first, second = (
        each[random.choice(len(each), most_items, replace=False)]
        if len(each) > most_items
        else each
        for each in (np.asarray(first), np.asarray(second))
    )
    size, number = len(first), len(first) + len(second)
    codes = np.concatenate([first, second])
    distances = np.sqrt(hamming_distance(codes, codes).astype(np.float64))
    energies = [_energies(distances, np.arange(number)[None] < size)]
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        dealt = random.permuted(np.tile(np.arange(number), (rows, 1)), axis=1) < size
        energies.append(_energies(distances, dealt))
    energies = np.concatenate(energies)
    # Equal values may differ by rounding.
    as_great = int((energies[1:] >= energies[0] - 1e-9).sum())
    between = 2 * distances[:size, size:].mean()
    return EnergyTest(
        p_value=(1 + as_great) / (1 + permutations),
        coefficient=float(max(energies[0], 0) / between) if between else 0.0,
    )


def _energies(distances: np.ndarray, in_first: np.ndarray) -> np.ndarray:
    """E for every row of `in_first`, (r, n) bool: which codes are in the first set."""
    chosen = in_first.astype(np.float64)
    size = int(in_first[0].sum())
    rest = len(distances) - size
    within = np.einsum("rn,rn->r", chosen @ distances, chosen)
    across = chosen @ distances.sum(axis=0) - within
    others = distances.sum() - 2 * across - within
    return 2 * across / (size * rest) - within / size**2 - others / rest**2
