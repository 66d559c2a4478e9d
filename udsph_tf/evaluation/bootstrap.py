"""Confidence intervals of a mean over queries."""

import numpy as np

__all__ = ["bootstrap_mean_interval"]

_BLOCK_DRAWS = 1 << 21


def bootstrap_mean_interval(
    values: np.ndarray, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`, NaN left out.

    The n defined values are drawn n at a time with replacement, `resamples` times; the interval
    lies between the quantiles (1 - confidence) / 2 and (1 + confidence) / 2 of the means. It covers
    the choice of queries only, not another database, split, or training run.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        values: (n,) one number a query; NaN marks an undefined one and is skipped.
        resamples: number of resamples, at least 1.
        confidence: share of the means inside, between 0 and 1, exclusive.
        seed: seed of the NumPy generator, a non-negative integer; one seed, one result.

    Returns:
        (low, high) as Python floats.

    Raises:
        ValueError: no defined value, or an argument outside its range.

    Example:
        >>> low, high = bootstrap_mean_interval(np.array([0.0, 1.0] * 50))
        >>> round(low, 2), round(high, 2)
        (0.4, 0.6)
    """
    if not isinstance(resamples, (int, np.integer)) or isinstance(resamples, bool) or resamples < 1:
        raise ValueError(f"`resamples` must be a positive integer. Received: resamples={resamples}")
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1. Received: confidence={confidence}")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"`values` must have shape (n,). Received: shape={values.shape}")
    values = values[~np.isnan(values)]
    if not values.size:
        raise ValueError("`values` must have at least one defined value. Received: none")

    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _BLOCK_DRAWS // values.size)
    for start in range(0, resamples, rows):
        block = means[start : start + rows]
        drawn = generator.integers(0, values.size, size=(block.size, values.size))
        block[:] = values[drawn].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)
