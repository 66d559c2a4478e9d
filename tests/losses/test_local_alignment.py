import numpy as np
import pytest

from udsph_tf.losses import LocalAlignment, local_alignment

# Items 0 and 1 share a label; item 2 shares none with them.
SIMILARITY = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
SCORES = np.array([[0.5, 0.9, 0.4], [0.8, 0.6, 0.1], [0.2, 0.7, 0.3]], np.float32)


def test_local_alignment_hand_case_has_the_worked_out_value():
    # Rows, own 0.5 0.6 0.3, hardest negative text 0.4 0.1 0.7:
    #   [0.2 + 0.4 - 0.5]+ = 0.1, [0.2 + 0.1 - 0.6]+ = 0, [0.2 + 0.7 - 0.3]+ = 0.6; mean 0.7 / 3.
    # Columns, hardest negative image 0.2 0.7 0.4:
    #   [0.2 + 0.2 - 0.5]+ = 0, [0.2 + 0.7 - 0.6]+ = 0.3, [0.2 + 0.4 - 0.3]+ = 0.3; mean 0.2.
    value = float(local_alignment(SIMILARITY, SCORES))
    assert value == pytest.approx(0.7 / 3 + 0.2, 1e-5)


def test_local_alignment_negative_that_shares_a_label_is_ignored(value_and_gradient):
    changed = SCORES.copy()
    changed[0, 1], changed[1, 0] = 100, -100
    expected = float(local_alignment(SIMILARITY, SCORES))
    assert float(local_alignment(SIMILARITY, changed)) == expected
    _, gradient = value_and_gradient(lambda x: local_alignment(SIMILARITY, x), changed)
    assert gradient[0, 1] == gradient[1, 0] == 0


def test_local_alignment_without_any_negative_is_zero(value_and_gradient):
    value, gradient = value_and_gradient(lambda x: local_alignment(np.ones((3, 3)), x), SCORES)
    assert value == 0
    assert (gradient == 0).all()


def test_local_alignment_item_without_negative_adds_nothing():
    # Item 1 shares a label with both others; only rows and columns 0 and 2 are left.
    similarity = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], np.float32)
    # Rows: [0.2 + 0.4 - 0.5]+ = 0.1 and [0.2 + 0.2 - 0.3]+ = 0.1; mean over three 0.2 / 3.
    # Columns: [0.2 + 0.2 - 0.5]+ = 0 and [0.2 + 0.4 - 0.3]+ = 0.3; mean over three 0.1.
    value = float(local_alignment(similarity, SCORES))
    assert value == pytest.approx(0.2 / 3 + 0.1, 1e-5)


@pytest.mark.parametrize("size", [0.0, 100.0, 1e4])
def test_local_alignment_at_extremes_is_finite(size, check_finite):
    check_finite(lambda x: local_alignment(SIMILARITY, x), SCORES * size)
    check_finite(lambda x: local_alignment(SIMILARITY, x), -SCORES * size)


def test_local_alignment_class_agrees_with_the_function():
    for margin in (0.0, 0.2, 1.0):
        expected = float(local_alignment(SIMILARITY, SCORES, margin))
        assert float(LocalAlignment(margin)(SIMILARITY, SCORES)) == pytest.approx(expected)


def test_local_alignment_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(LocalAlignment(margin=0.7, name="other")).margin == 0.7


def test_local_alignment_class_negative_margin_is_an_error():
    with pytest.raises(ValueError, match="`margin` must not be negative. Received: margin=-0.1"):
        LocalAlignment(margin=-0.1)
