"""Projections to bits: canonical correlations, iterative quantization, random directions."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Correlations", "canonical_correlations", "quantizing_rotation", "random_directions"]


@dataclass(frozen=True)
class Correlations:
    """Directions of two views by falling correlation.

    Args:
        correlations: (d,) in [0, 1].
        first, second: (dim, d) directions, of unit (ridged) variance over the training items.
    """

    correlations: np.ndarray
    first: np.ndarray
    second: np.ndarray


def canonical_correlations(
    first: np.ndarray, second: np.ndarray, ridge: float, most: int = 256
) -> Correlations:
    """Canonical correlation analysis of centred views of the same items.

    The singular vectors of C1^-1/2 C12 C2^-1/2 with Cv the covariance of view v plus `ridge` times
    its mean variance on the diagonal.

    Source: Hotelling, "Relations between two sets of variates", Biometrika 28, 1936; ridge: Vinod,
    J. Econometrics 4, 1976.

    Args:
        first, second: (n, dim) centred training items.
        ridge: share of the mean variance, positive.
        most: directions to keep.
    """
    factors = []
    for view in (first, second):
        covariance = (view.T @ view / len(view)).astype(np.float64)
        covariance[np.diag_indices_from(covariance)] += (
            ridge * np.trace(covariance) / len(covariance)
        )
        factors.append(np.linalg.cholesky(covariance))
    between = (first.T @ second / len(first)).astype(np.float64)
    whitened = np.linalg.solve(factors[1], np.linalg.solve(factors[0], between).T).T
    left, correlations, right = np.linalg.svd(whitened, full_matrices=False)
    return Correlations(
        correlations[:most],
        np.linalg.solve(factors[0].T, left[:, :most]).astype(np.float32),
        np.linalg.solve(factors[1].T, right[:most].T).astype(np.float32),
    )


def quantizing_rotation(
    vectors: np.ndarray, num_bits: int, seed: int, rounds: int = 50
) -> np.ndarray:
    """Iterative quantization: directions W = P R that lose least between V W and its signs.

    P are the first `num_bits` principal directions (all of them, and zeros, where the vectors have
    fewer), R the rotation that alternates with B = sign(V P R) in min |B - V P R|^2.

    Source: Gong and Lazebnik, "Iterative quantization: a procrustean approach to learning binary
    codes", CVPR 2011.

    Args:
        vectors: (n, d) centred training items.
        num_bits: code length.
        seed: of the first rotation.
        rounds: of the alternation.

    Returns:
        (d, num_bits) float32.
    """
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    kept = directions[:, ::-1][:, :num_bits]
    principal = np.pad(kept, ((0, 0), (0, num_bits - kept.shape[1]))).astype(np.float32)
    projected = vectors @ principal
    rotation = random_directions(num_bits, num_bits, seed)
    for _ in range(rounds):
        signs = np.where(projected @ rotation >= 0, 1, -1).astype(np.float32)
        left, _, right = np.linalg.svd(projected.T @ signs)
        rotation = left @ right
    return principal @ rotation


def random_directions(dim: int, num_bits: int, seed: int) -> np.ndarray:
    """(dim, num_bits) float32 of random directions, orthogonal as far as `dim` allows.

    Source: Ji et al., "Super-bit locality-sensitive hashing", NIPS 2012.
    """
    rng = np.random.default_rng(seed)
    blocks = []
    for start in range(0, num_bits, dim):
        square, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
        blocks.append(square[:, : num_bits - start])
    return np.concatenate(blocks, axis=1).astype(np.float32)
