"""Integer convolutions for an image encoder, calibrated on pictures whose bits are least sure.

Only convolutions and their shortcuts are quantized whole (weights by channel, activations by
tensor, ranges from training pictures). Pooling and head compute in float: stages of a body have
very different ranges, and one 8-bit tensor of all their pooled numbers loses a bit in thirty. The
head's weights are 8-bit numbers as well, so that this costs no bytes.
"""

import contextlib
import dataclasses
import re
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np

from udsph_tf.export.flatbuffer import sums_of_maps
from udsph_tf.litert import SIGNATURE, num_cores

__all__ = ["hard_cases", "quantize"]


def hard_cases(logits: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """Rows to calibrate on: half of them hard, half of them drawn at random.

    A hard case has bits that hang by a thread: the mean of the smallest eighth of its |logits| is
    small. The random half holds ordinary pictures, whose ranges are wider.

    Args:
        logits: (n, num_bits) of candidates.
        number: rows wanted; all, where there are fewer.
        seed: seed of the draw.

    Example:
        >>> logits = np.array([[9.0] * 8, [0.1] + [9.0] * 7, [9.0] * 8, [9.0] * 8])
        >>> 1 in hard_cases(logits, 2)
        True
    """
    if number >= len(logits):
        return np.arange(len(logits))
    closest = np.sort(np.abs(logits), axis=1)[:, : max(1, logits.shape[1] // 8)].mean(axis=1)
    order = np.argsort(closest, kind="stable")
    hard, rest = np.split(order, [(number + 1) // 2])
    drawn = np.random.default_rng(seed).choice(rest, number - len(hard), replace=False)
    return np.sort(np.concatenate([hard, drawn]))


def quantize(content: bytes, pixels: np.ndarray) -> bytes:
    """A float32 TFLite file with integer convolutions and 8-bit weights elsewhere.

    Args:
        content: a file with one uint8 input `pixels`.
        pixels: (m, size, size, 3) uint8, pictures that ranges are measured on.
    """
    # Imported here: it is large, and needed for this one step.
    from ai_edge_quantizer import qtyping, quantizer

    work = quantizer.Quantizer(content)
    names = qtyping.TFLOperationName
    for operation in (names.CONV_2D, names.DEPTHWISE_CONV_2D):
        work.add_static_config(".*", operation, 8, 8)
    sums = sums_of_maps(content)
    if sums:
        chosen = "|".join(re.escape(name) for name in sums)
        work.add_static_config(f"^({chosen});?$", names.ADD, 8, 8)
    work.add_dynamic_config(".*", names.FULLY_CONNECTED, 8)
    rows = [{"pixels": each[np.newaxis]} for each in pixels]
    with _quiet_stderr(), _kernels_as_matrices():
        ranges = work.calibrate({SIGNATURE: rows}, num_threads=num_cores())
        result = work.quantize(
            ranges, enable_progress_bar=False, enable_progress_report=False
        ).quantized_model
    return bytes(result)


@contextlib.contextmanager
def _kernels_as_matrices() -> Iterator:
    """Let the quantizer see a kernel as a matrix with a scale a row, while it runs.

    Of a tensor above 32 MiB (CNN-F's full layers) it makes a matrix by itself, and forgets to do
    so with the scales, which fails.
    """
    from ai_edge_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor

    plain = uniform_quantize_tensor.uniform_quantize

    def as_matrix(data, parameters, *blockwise):
        if data.ndim < 3 or parameters.quantized_dimension != 0 or any(blockwise):
            return plain(data, parameters, *blockwise)
        columns = {
            name: np.reshape(getattr(parameters, name), (-1, 1)) for name in ("scale", "zero_point")
        }
        rows = data.reshape(len(data), -1)
        quantized = plain(rows, dataclasses.replace(parameters, **columns), *blockwise)
        return quantized.reshape(data.shape)

    uniform_quantize_tensor.uniform_quantize = as_matrix
    try:
        yield
    finally:
        uniform_quantize_tensor.uniform_quantize = plain


@contextlib.contextmanager
def _quiet_stderr() -> Iterator:
    """Keep progress bars and notes of the quantizer off the screen; an error still shows them."""
    with (
        tempfile.TemporaryFile("w+") as file,
        contextlib.redirect_stderr(file),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        yield
