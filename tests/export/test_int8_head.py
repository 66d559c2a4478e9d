"""The head over an 8-bit body: what it may change, and that it is set back."""

import numpy as np
import pytest

from udsph_tf.export.int8_head import HEADS, check_head, int8_head
from udsph_tf.export.quantization import _kernels_as_matrices, hard_cases


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


def test_a_kernel_above_32_mib_is_quantized_by_channel_as_a_small_one_is():
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor

    # As the first full layer of CNN-F, with fewer channels: 33.2 MiB.
    kernel = np.random.default_rng(0).normal(size=(945, 6, 6, 256)).astype(np.float32)
    scale = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    parameters = qtyping.UniformQuantParams(
        num_bits=8,
        quantized_dimension=0,
        scale=scale,
        zero_point=np.zeros_like(scale, np.int32),
        symmetric=True,
    )
    plain = uniform_quantize_tensor.uniform_quantize
    with _kernels_as_matrices():
        found = uniform_quantize_tensor.uniform_quantize(kernel, parameters)
    assert uniform_quantize_tensor.uniform_quantize is plain
    assert found.shape == kernel.shape
    rows = [0, 500, 944]
    np.testing.assert_array_equal(found[rows], np.rint(kernel[rows] / scale[rows]))
