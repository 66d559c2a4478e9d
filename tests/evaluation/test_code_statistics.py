import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from udsph_tf.evaluation import bit_balance, bit_correlation

CODES = arrays.arrays(
    np.int8,
    st.tuples(st.integers(1, 9), st.integers(1, 8)),
    elements=st.sampled_from([-1, 1]),
)


def test_bit_balance_is_the_mean_of_the_absolute_means():
    # Means of the bits: 1, 0, -1/2: (1 + 0 + 1/2) / 3 = 1/2.
    codes = [[1, 1, -1], [1, 1, -1], [1, -1, -1], [1, -1, 1]]
    assert bit_balance(codes) == pytest.approx(0.5)


def test_bit_balance_of_relaxed_hashes_reads_their_values():
    # (0.5 - 0.1) / 2 = 0.2 and (0 + 0) / 2 = 0.
    assert bit_balance([[0.5, 0.0], [-0.1, 0.0]]) == pytest.approx(0.1)


def test_bit_correlation_is_the_mean_over_pairs_of_bits():
    # Bits a = (1, 1, -1, -1), b = -a, c = (1, -1, 1, -1): |ab| = 1, |ac| = |bc| = 0.
    codes = [[1, -1, 1], [1, -1, -1], [-1, 1, 1], [-1, 1, -1]]
    assert bit_correlation(codes) == pytest.approx(1 / 3)


def test_bit_correlation_takes_the_means_off():
    # Bits (1, 1, 1, -1) and (1, 1, -1, -1), means 1/2 and 0: covariance 1/2, variances 3/4 and 1.
    codes = [[1, 1], [1, 1], [1, -1], [-1, -1]]
    assert bit_correlation(codes) == pytest.approx(0.5 / np.sqrt(0.75))


def test_bit_correlation_of_a_constant_bit_is_zero():
    # Two pairs of three hold the constant bit.
    codes = [[1, 1, 1], [1, -1, -1]]
    assert bit_correlation(codes) == pytest.approx(1 / 3)
    assert bit_correlation(np.ones((5, 8), np.int8)) == 0
    # 0.1 has no exact form, so that its mean over three items is not exactly 0.1.
    assert bit_correlation(np.full((3, 4), 0.1)) == 0
    assert bit_balance(np.ones((5, 8), np.int8)) == 1


def test_statistics_of_one_item_or_one_bit_are_defined():
    assert bit_balance([[1, -1]]) == 1
    assert bit_correlation([[1, -1]]) == 0
    assert bit_correlation([[1], [-1]]) == 0


@given(codes=CODES)
def test_statistics_are_those_of_numpy(codes):
    varies = codes.std(axis=0) > 0
    total = 0.0
    if varies.any():
        correlation = np.atleast_2d(np.corrcoef(codes[:, varies].astype(float), rowvar=False))
        total = np.abs(correlation).sum() - len(correlation)
    pairs = max(1, codes.shape[1] * (codes.shape[1] - 1))
    assert bit_correlation(codes) == pytest.approx(total / pairs, abs=1e-9)
    assert 0 <= bit_correlation(codes) <= 1
    assert bit_balance(codes) == pytest.approx(np.mean([abs(bit.mean()) for bit in codes.T]))


@pytest.mark.parametrize("statistic", [bit_balance, bit_correlation])
@pytest.mark.parametrize("codes", [[1, -1], np.ones((0, 8)), [[2, 0]], [[np.nan, 1]]])
def test_statistics_of_anything_else_are_an_error(statistic, codes):
    with pytest.raises(ValueError, match=r"`codes` must have shape .* Received: shape="):
        statistic(codes)
