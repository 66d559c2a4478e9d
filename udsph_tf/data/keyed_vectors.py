"""Word vectors in gensim's own `.kv` files, without gensim and without running the file.

`KeyedVectors.save` of gensim 4 writes a pickle, and large numbers beside it (`<file>.vectors.npy`).
`udsph_tf.restricted_pickle` reads the pickle, with inert records for four names.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from udsph_tf.restricted_pickle import RestrictedUnpickler, unpickle

__all__ = ["read_keyed_vectors"]

# What records of another shape, and NumPy's own file, raise beside the ValueError of a pickle.
_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)
_TYPES = {"f2": "f2", "f4": "f4", "f8": "f8"}


def read_keyed_vectors(path: str | Path) -> tuple[list[str], np.ndarray]:
    """The words of a file, the most frequent first, and (n, dim) float32.

    Raises:
        ValueError: it is damaged, of another version or another kind; the message names the remedy.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            fields = _fields(file)
        words = fields["index_to_key"]
        vectors = fields.get("vectors")
        beside = path.with_name(f"{path.name}.vectors.npy")
        if vectors is None and "vectors" in fields.get("__numpys", ()):
            if not beside.is_file():
                raise ValueError(f"its numbers should be beside it, in {beside.name}")
            with beside.open("rb") as file:
                found = np.load(file, allow_pickle=False)
        else:
            found = _array(vectors)
        if not all(isinstance(word, str) for word in words) or found.shape[:1] != (len(words),):
            raise ValueError(f"{len(words):,} words do not fit vectors of shape {found.shape}")
        if found.ndim != 2 or found.dtype.kind != "f":
            raise ValueError(f"its vectors are {found.dtype} of shape {found.shape}")
    except _ERRORS as error:
        raise ValueError(
            f"{path} cannot be read as KeyedVectors of gensim 4: {error}. Copy it again with all "
            f"files `{path.name}.*`; or convert it, where gensim is installed and its maker is "
            'trusted: python -c "from gensim.models import KeyedVectors; '
            f"KeyedVectors.load('{path.name}').save_word2vec_format('{path.stem}.txt')\""
        ) from error
    return words, found.astype(np.float32)


def _fields(file) -> dict[str, Any]:
    # Made anew for each file: what a pickle does to these classes does not outlive it.
    class Keyed:
        pass

    class Array:
        state: Any = None

        def __setstate__(self, state):
            self.state = state

    class Type:
        def __init__(self, name, *_):
            self.name, self.order = name, "="

        def __setstate__(self, state):
            self.order = state[1]

    known = {
        "gensim.models.keyedvectors.KeyedVectors": Keyed,
        "numpy.ndarray": Array,
        "numpy.dtype": Type,
        "numpy.core.multiarray._reconstruct": lambda *_: Array(),
        "numpy._core.multiarray._reconstruct": lambda *_: Array(),
    }

    class Reader(RestrictedUnpickler):
        allowed_globals = known

    found = unpickle(Reader, file)
    if type(found) is not Keyed:
        raise ValueError(f"it holds a {type(found).__name__}")
    return vars(found)


def _array(record: Any) -> np.ndarray:
    """The array of NumPy's own record of it: version, shape, type, order, bytes."""
    _, shape, dtype, by_columns, data = record.state
    kind = np.dtype(_TYPES[dtype.name]).newbyteorder(dtype.order)
    if len(data) != math.prod(shape) * kind.itemsize:
        raise ValueError("its numbers are cut off")
    return np.frombuffer(data, kind).reshape(shape, order="F" if by_columns else "C")
