import numpy as np

from udsph_tf.export.verification import compare_codes


def test_compare_codes_counts_bits_and_items_by_hand():
    logits = np.full((3, 8), 2.0)
    logits[0, 0] = -5e-5  # near zero: the code's bit is 0, the artefact's 1
    logits[1, 1] = -0.3  # far from zero: the code's bit is 0, the artefact's 1
    packed = np.full((3, 1), 0b11111111, dtype=np.uint8)
    packed[1, 0] = 0b11111110  # and its last bit is 0 where the code's is 1
    assert compare_codes(logits, packed) == {
        "items": 3,
        "bits": 24,
        "differing_bits": 3,
        "differing_bits_not_near_zero": 2,
        "items_changed": 2,
        "agreement": 1 - 3 / 24,
    }


def test_compare_codes_of_a_zero_logit_is_a_one():
    assert compare_codes(np.zeros((1, 8)), np.array([[255]], np.uint8))["differing_bits"] == 0
