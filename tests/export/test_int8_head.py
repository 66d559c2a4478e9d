"""The head over an 8-bit body: what it may change, and that it is set back."""

import numpy as np
import pytest

from udsph_tf.export.int8_head import HEADS, check_head, int8_head
from udsph_tf.export.quantization import hard_cases


@pytest.mark.parametrize("head", HEADS)
def test_the_head_changes_within_the_block_and_is_set_back(keras_side, pixels, head):
    encoder = keras_side.image_encoder
    before = encoder.get_weights()
    with int8_head(encoder, pixels[:8], pixels[:24], head):
        inside = encoder.get_weights()
        assert all(np.isfinite(each).all() for each in inside)
    changed = {a.shape for a, b in zip(before, inside, strict=True) if not np.array_equal(a, b)}
    assert bool(changed) == (head != "plain")
    # Corrected: two vectors of the standardisation. Tuned: kernels too.
    assert any(len(shape) == 2 for shape in changed) == (head == "tuned")
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_head_is_set_back_after_an_error(keras_side, pixels):
    encoder = keras_side.image_encoder
    before = encoder.get_weights()
    with (
        pytest.raises(RuntimeError, match="stop"),
        int8_head(encoder, pixels[:4], pixels[:4], "corrected"),
    ):
        raise RuntimeError("stop")
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unknown_head_is_an_error():
    with pytest.raises(ValueError, match="`int8_head` must be one of .* Received: int8_head='no'"):
        check_head("no")


def test_hard_cases_holds_the_smallest_logits_and_others_drawn():
    # Item i has one of 8 logits at i / 10, all others at 9: items 0 to 4 are the hardest.
    logits = np.full((40, 8), 9.0)
    logits[:, 3] = np.arange(40) / 10
    rows = hard_cases(logits, 10)
    assert len(set(rows)) == 10
    assert set(range(5)) <= set(rows)
    np.testing.assert_array_equal(hard_cases(logits[:6], 10), np.arange(6))
