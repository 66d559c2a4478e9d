import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from udsph_tf import codes
from udsph_tf.codes import (
    BIT_WEIGHTS,
    binarize,
    check_num_bits,
    first_bits,
    fuse,
    hamming_distance,
    pack,
    unpack,
)


@st.composite
def bit_rows(draw, num_bits=None):
    """(rows, num_bits) of 0 and 1 as lists."""
    num_bits = num_bits or 8 * draw(st.integers(1, 17))
    row = st.lists(st.integers(0, 1), min_size=num_bits, max_size=num_bits)
    return draw(st.lists(row, min_size=1, max_size=4))


@st.composite
def two_bit_rows(draw):
    num_bits = 8 * draw(st.integers(1, 17))
    return draw(bit_rows(num_bits)), draw(bit_rows(num_bits))


def packed_by_hand(rows):
    """The convention spelled out: first bit in the most significant place."""
    return [
        [sum(w * b for w, b in zip(BIT_WEIGHTS, row[i : i + 8], strict=True)) for i in starts(row)]
        for row in rows
    ]


def starts(row):
    return range(0, len(row), 8)


def as_codes(rows):
    return 2 * np.array(rows, dtype=np.int8) - 1


@pytest.mark.parametrize("num_bits", [8, 64, np.int64(128)])
def test_check_num_bits_multiple_of_8_returns_int(num_bits):
    checked = check_num_bits(num_bits)
    assert checked == num_bits
    assert type(checked) is int


@pytest.mark.parametrize("num_bits", [0, -8, 7, 12, 8.0, True, "8", None])
def test_check_num_bits_unusable_raises_with_the_value(num_bits):
    with pytest.raises(ValueError) as error:
        check_num_bits(num_bits)
    assert str(error.value) == (
        f"`num_bits` must be a positive multiple of 8. Received: num_bits={num_bits!r}"
    )


def test_binarize_zero_and_infinities_follow_the_sign_with_zero_positive():
    # Both zeros compare as >= 0.
    values = [[0.0, -0.0, 1e-30, -1e-30, np.inf, -np.inf]]
    found = binarize(values)
    assert found.tolist() == [[1, 1, 1, -1, 1, -1]]
    assert found.dtype == np.int8


def test_binarize_nan_raises():
    with pytest.raises(ValueError, match="`hash_values` must be numbers.*contains NaN"):
        binarize([[0.5, np.nan]])


def test_pack_first_bit_has_the_most_significant_place():
    # +1 -1 -1 -1 -1 -1 -1 +1 is 128 + 1; then eight times +1 is 255.
    row = [1, -1, -1, -1, -1, -1, -1, 1] + [1] * 8
    found = pack([row])
    assert found.tolist() == [[129, 255]]
    assert found.dtype == np.uint8


@given(bit_rows())
def test_pack_equals_sum_of_bit_weights(rows):
    assert pack(as_codes(rows)).tolist() == packed_by_hand(rows)


@given(bit_rows())
def test_unpack_inverts_pack(rows):
    found = unpack(pack(as_codes(rows)))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, as_codes(rows))


@given(two_bit_rows())
def test_hamming_distance_equals_counting_bit_by_bit(pair):
    first, second = pair
    expected = [[sum(x != y for x, y in zip(a, b, strict=True)) for b in second] for a in first]
    found = hamming_distance(pack(as_codes(first)), pack(as_codes(second)))
    assert found.tolist() == expected


def test_hamming_distance_transposed_input_equals_its_copy():
    # Not contiguous, so it cannot be viewed as wider words without a copy.
    a = np.random.default_rng(0).integers(0, 256, (8, 5), dtype=np.uint8).T
    np.testing.assert_array_equal(hamming_distance(a, a), hamming_distance(a.copy(), a.copy()))


def test_hamming_distance_in_blocks_equals_at_once(monkeypatch):
    generator = np.random.default_rng(1)
    a = generator.integers(0, 256, (7, 8), dtype=np.uint8)
    b = generator.integers(0, 256, (3, 8), dtype=np.uint8)
    at_once = hamming_distance(a, b)
    monkeypatch.setattr(codes, "_BLOCK_BYTES", 2 * 3 * 8)
    np.testing.assert_array_equal(hamming_distance(a, b), at_once)


def test_hamming_distance_no_rows_gives_empty_matrix():
    none, two = np.zeros((0, 8), np.uint8), np.zeros((2, 8), np.uint8)
    assert hamming_distance(none, two).shape == (0, 2)
    assert hamming_distance(two, none).shape == (2, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(8), r"`codes` must have shape \(n, num_bits\). Received: shape=\(8,\)"),
        (np.ones((1, 12)), "`num_bits` must be a positive multiple of 8. Received: num_bits=12"),
        (np.zeros((1, 8)), r"`codes` must hold only \+1 and -1; use `binarize`"),
        (np.full((1, 8), 0.5), r"`codes` must hold only \+1 and -1"),
        (np.full((1, 8), np.nan), r"`codes` must hold only \+1 and -1"),
    ],
)
def test_pack_unfit_codes_raises(wrong, message):
    with pytest.raises(ValueError, match=message):
        pack(wrong)


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (np.ones((2, 8), np.int8), r"dtype=int8, shape=\(2, 8\)"),
        (np.ones(8, np.uint8), r"dtype=uint8, shape=\(8,\)"),
    ],
)
def test_packed_argument_of_another_kind_raises_with_its_name(wrong, received):
    good = np.zeros((1, 8), np.uint8)
    with pytest.raises(ValueError, match=f"`packed` must be packed codes.*{received}"):
        unpack(wrong)
    with pytest.raises(ValueError, match=f"`a` must be packed codes.*{received}"):
        hamming_distance(wrong, good)
    with pytest.raises(ValueError, match=f"`b` must be packed codes.*{received}"):
        hamming_distance(good, wrong)


def test_hamming_distance_other_lengths_raises_with_both():
    with pytest.raises(ValueError, match="codes of one length. Received: 64 and 32 bits"):
        hamming_distance(np.zeros((1, 8), np.uint8), np.zeros((1, 4), np.uint8))


def test_fuse_the_surer_modality_decides_a_bit():
    image = np.array([[0.9, -0.2, 0.5, -0.5]])
    text = np.array([[-0.3, 0.1, 0.4, 0.5]])
    assert fuse(image, text).tolist() == [[1, -1, 1, 1]]  # a sum of zero is +1


def test_fuse_other_shapes_raise():
    with pytest.raises(ValueError, match=r"one shape. Received: \(1, 8\) and \(2, 8\)"):
        fuse(np.zeros((1, 8)), np.zeros((2, 8)))


@given(arrays(np.uint8, (5, 4)), st.sampled_from([8, 16, 24, 32]))
def test_first_bits_are_the_first_of_the_unpacked_code(packed, num_bits):
    first = first_bits(packed, num_bits)
    np.testing.assert_array_equal(unpack(first), unpack(packed)[:, :num_bits])


@pytest.mark.parametrize("num_bits", [0, 12, 40])
def test_first_bits_unfit_length_raises(num_bits):
    with pytest.raises(ValueError, match="`num_bits` must be"):
        first_bits(np.zeros((1, 4), np.uint8), num_bits)
