import numpy as np
import pytest

from udsph_tf.codes import pack
from udsph_tf.evaluation import energy_test


def clustered(random, number, flip=0.1, centres=None):
    """Codes of 32 bits around eight centres, as codes of kinds of items are."""
    if centres is None:
        centres = np.random.default_rng(7).integers(0, 256, (8, 4), dtype=np.uint8)
    flips = np.packbits(random.random((number, 32)) < flip, axis=1)
    return centres[random.integers(0, len(centres), number)] ^ flips


def test_energy_test_hand_case_has_the_worked_out_values():
    # Codes 0, 0 against 1, 1 (one bit apart): mean d(x, y) = 1, within both sets 0, so E = 2, the
    # greatest there can be. Of the 6 ways to deal four codes out, 2 give E = 2.
    test = energy_test(
        np.array([[0], [0]], np.uint8), np.array([[1], [1]], np.uint8), permutations=2999
    )
    assert test.coefficient == 1
    assert test.p_value == pytest.approx(1 / 3, abs=0.03)


def test_energy_test_equal_codes_everywhere_find_no_difference():
    codes = np.full((5, 2), 9, np.uint8)
    assert energy_test(codes, codes) == (1.0, 0.0)


def test_energy_test_on_splits_of_the_same_raises_few_false_alarms():
    random = np.random.default_rng(0)
    p_values = []
    for seed in range(200):
        codes = clustered(random, 120)
        test = energy_test(codes[:80], codes[80:], permutations=99, seed=seed)
        p_values.append(test.p_value)
    # 200 trials at 0.05: 10 expected, more than 20 in 1 of 900 cases; uniform, so 0.5 on average.
    assert np.mean(np.array(p_values) <= 0.05) <= 0.10
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("change", ["bit", "kind", "noise"])
def test_energy_test_fires_on_shifted_codes(change):
    random = np.random.default_rng(1)
    old, new = clustered(random, 400), clustered(random, 400)
    if change == "bit":
        new[:, 0] |= 128  # one bit is stuck
    elif change == "kind":
        new[:80] = clustered(random, 80, centres=np.array([[1, 2, 3, 4]], np.uint8))
    else:
        new = clustered(random, 400, flip=0.2)
    assert energy_test(old, new).p_value == 0.001


def test_energy_test_sees_bits_that_go_together_in_another_way():
    # Every bit is fair in both sets; in one of them the second half repeats the first.
    random = np.random.default_rng(2)
    half = random.choice([-1, 1], (300, 16))
    alone = pack(random.choice([-1, 1], (300, 32)))
    together = pack(np.hstack([half, half]))
    assert energy_test(alone, together).p_value == 0.001


def test_energy_test_compares_a_choice_of_many_and_repeats_itself():
    random = np.random.default_rng(3)
    old, new = clustered(random, 3000), clustered(random, 50)
    first = energy_test(old, new, most_items=200)
    assert first == energy_test(old, new, most_items=200)
    assert first != energy_test(old, new, most_items=200, seed=1)


def test_energy_test_of_too_few_codes_raises():
    codes = np.zeros((5, 2), np.uint8)
    with pytest.raises(ValueError, match="at least 2 codes"):
        energy_test(codes, codes[:1])
    with pytest.raises(ValueError, match="one length|must match|dimension"):
        energy_test(codes, np.zeros((5, 3), np.uint8))
