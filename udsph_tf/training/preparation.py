"""From a data set to arrays that training reads: every picture decoded once, every text tokenized.

Outputs of a frozen body are computed once, through LiteRT, and cached on disk. Unusable items are
left out here, each with its reason, so that no bad file is met in the middle of an epoch.
"""

import functools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from udsph_tf.data.array_cache import ArrayCache, cache_key
from udsph_tf.data.decoding import decode_pictures
from udsph_tf.data.images import source_fingerprint
from udsph_tf.data.pairs import Pairs, Problem
from udsph_tf.litert import LiteRTModel, convert_model

__all__ = [
    "Inputs",
    "default_cache",
    "drop_problems",
    "forget_images",
    "prepare_images",
    "prepare_texts",
    "prepare_vectors",
]

_LOG = logging.getLogger(__name__)
_FORMAT = "2"


@dataclass(frozen=True)
class Inputs:
    """What one hasher reads: named arrays of which some rows are used.

    Args:
        arrays: by input name, (num_rows, ...), in memory or memory-mapped.
        rows: (n,) the row of each item.
    """

    arrays: dict[str, np.ndarray]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> "Inputs":
        """The items at `indices`."""
        return Inputs(self.arrays, self.rows[indices])

    def batch(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of the items at `indices`; half precision is widened."""
        return {
            name: _widen(np.asarray(array[self.rows[indices]]))
            for name, array in self.arrays.items()
        }


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/udsph_tf`, or `~/.cache/udsph_tf`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "udsph_tf"


def prepare_images(
    pairs: Pairs, size: int, body: keras.Model | None, cache: str | Path
) -> tuple[Inputs, list[Problem]]:
    """Decode every picture once, and run a frozen body over it.

    Args:
        pairs: n items.
        size: height and width in pixels.
        body: a frozen image body, or None to keep the pixels.
        cache: folder that caches are made in; what is there already is not computed again.

    Returns:
        The inputs of the n items, and the items whose picture cannot be used.
    """
    store = _image_store(pairs, size, body, cache)
    run = body and _runner(body)

    def compute(start, chunk):
        for pixels, failed in decode_pictures(pairs.images, size, chunk, start):
            yield ({"pixels": pixels} if body is None else run(pixels)), failed

    store.fill(compute, "pictures", unit="images")
    problems = [
        Problem(str(pairs.ids[row]), str(pairs.images[row]), why)
        for row, why in sorted(store.failed.items())
    ]
    arrays = {name: store.array(name) for name in store.layout}
    return Inputs(arrays, np.arange(len(pairs))), problems


def forget_images(pairs: Pairs, size: int, body: keras.Model | None, cache: str | Path) -> None:
    """Delete the cache that `prepare_images` made with the same arguments."""
    _image_store(pairs, size, body, cache).remove()


def _image_store(
    pairs: Pairs, size: int, body: keras.Model | None, cache: str | Path
) -> ArrayCache:
    layout = {"pixels": ((size, size, 3), "uint8")} if body is None else _layout(body)
    fingerprint = "pixels" if body is None else _fingerprint(body)
    key = cache_key(
        _FORMAT, fingerprint, str(size), *(source_fingerprint(each) for each in pairs.images)
    )
    return ArrayCache(Path(cache) / f"images-{key}", len(pairs), layout)


def prepare_texts(token_ids: np.ndarray, body: keras.Model | None, cache: str | Path) -> Inputs:
    """Keep the token ids, or run a frozen text body over them.

    Args:
        token_ids: (n, max_tokens) int32.
        body: a frozen text body, or None to keep the ids.
        cache: as for `prepare_images`.
    """
    rows = np.arange(len(token_ids))
    if body is None:
        return Inputs({"token_ids": token_ids}, rows)
    layout = _layout(body)
    key = cache_key(_FORMAT, _fingerprint(body), cache_key(token_ids.tobytes()))
    store = ArrayCache(Path(cache) / f"texts-{key}", len(token_ids), layout)
    run = _runner(body)

    def compute(start, chunk):
        for begin in range(start, len(token_ids), chunk):
            yield run(token_ids[begin : begin + chunk]), {}

    store.fill(compute, "texts")
    return Inputs({name: store.array(name) for name in layout}, rows)


def prepare_vectors(vectors: np.ndarray) -> Inputs:
    """Feature vectors (n, dim) as they are: the body standardises them."""
    return Inputs({"vector": vectors}, np.arange(len(vectors)))


def drop_problems(
    pairs: Pairs, problems: Sequence[Problem], policy: str, known: Sequence[str] = ()
) -> np.ndarray:
    """Positions of the usable items; say which are not and why.

    Args:
        pairs: n items.
        problems: what was found, of items among them or of rows that never became items.
        policy: `"skip"`, or `"error"` to stop at any problem.
        known: ids that have been reported before, in `problems.json`.

    Raises:
        ValueError: the policy is `"error"` and there is a problem, or nothing is usable.
    """
    if problems:
        lines = [f"  {each.id}: {each.reason} ({each.source})" for each in problems[:10]]
        if len(problems) > 10:
            lines.append(f"  and {len(problems) - 10} more")
        message = f"{len(problems)} unusable items:\n" + "\n".join(lines)
        if policy == "error":
            raise ValueError(message + "\nMend them, or leave them out: --set data.bad_items=skip")
        if not {each.id for each in problems} <= set(known):
            _LOG.warning("Skipping %s\nMend those that are wanted, and begin anew", message)
    bad = {each.id for each in problems}
    usable = np.flatnonzero([item not in bad for item in pairs.ids])
    if not len(usable):
        raise ValueError("No usable item is left: every picture, text or label set is unusable")
    return usable


def _runner(body: keras.Model) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """The body as a function, converted at its first call: a full cache never calls it."""
    made = functools.cache(lambda: LiteRTModel(convert_model(body)))
    return lambda rows: made().run(rows)


def _layout(body: keras.Model) -> dict:
    """Shapes of a body's outputs; maps in half precision, since they are large."""
    return {
        name: (tuple(tensor.shape[1:]), "float16" if name.endswith("_map") else "float32")
        for name, tensor in body.output.items()
    }


def _fingerprint(body: keras.Model) -> str:
    # Not the config: names that Keras numbers by itself differ from process to process.
    weights = [cache_key(weight.numpy().tobytes()) for weight in body.weights]
    return cache_key(body.name, str(body.input_shape), str(_layout(body)), *weights)


def _widen(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array
