import numpy as np
import pytest

from udsph_tf.losses import Classification, classification


def test_classification_hand_case_has_the_worked_out_value():
    # First item: softplus(0) - 0 + softplus(1) - 1 = 0.693147 + 0.313262 = 1.006409.
    # Second item: softplus(-2) + softplus(3) - 3 = 0.126928 + 0.048587 = 0.175515.
    # Summed over labels, mean over items: 0.590962.
    labels = np.array([[1, 1], [0, 1]], np.uint8)
    logits = np.array([[0, 1], [-2, 3]], np.float32)
    assert float(classification(labels, logits)) == pytest.approx(0.590962, 1e-5)


def test_classification_of_more_labels_is_summed_not_averaged():
    labels, logits = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert float(classification(labels, logits)) == pytest.approx(3 * np.log(2), 1e-6)


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_classification_at_extreme_logits_is_finite(size, check_finite):
    labels = np.array([[1, 0], [0, 1]], np.float32)
    right = np.array([[size, -size], [-size, size]])
    assert check_finite(lambda x: classification(labels, x), right) == pytest.approx(0)
    assert check_finite(lambda x: classification(labels, x), -right) == pytest.approx(2 * size)


def test_classification_class_agrees_with_the_function():
    rng = np.random.default_rng(0)
    labels = (rng.random((5, 4)) < 0.5).astype(np.float32)
    logits = rng.normal(size=(5, 4)).astype(np.float32)
    expected = float(classification(labels, logits))
    assert float(Classification()(labels, logits)) == pytest.approx(expected)


def test_classification_class_round_trip_keeps_its_configuration(round_trip):
    assert round_trip(Classification(name="other")).name == "other"
