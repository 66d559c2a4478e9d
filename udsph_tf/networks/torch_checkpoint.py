"""Read a state dict that old PyTorch saved, without PyTorch and without running what is in it.

The legacy (pre-zip) format is a chain of pickles followed by raw numbers:

    magic number | protocol version | system information | state dict | list of storage keys
    then for every key, in the order of that list: element count (int64), elements

`udsph_tf.restricted_pickle` reads the pickles, with inert records for a handful of names.
"""

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from udsph_tf.restricted_pickle import RestrictedUnpickler, refuse, unpickle

__all__ = ["read_torch_checkpoint"]

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_ZIP_SIGNATURE = b"PK\x03\x04"

# The file's numbers are little-endian whatever this machine is. Types without a NumPy
# counterpart (bfloat16, quantized) are left out on purpose: they are refused by name.
_STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
}


def read_torch_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Tensors of a legacy PyTorch state dict, by name.

    Reads files that `torch.save(model.state_dict(), path)` wrote before PyTorch 1.6, or later
    with `_use_new_zipfile_serialization=False`. Only `collections.OrderedDict`,
    `torch._utils._rebuild_tensor_v2` and the numeric `torch.*Storage` names may occur in the
    file, and each is replaced by a stand-in of this module; any other name is refused, not
    imported.

    Args:
        path: the file, usually `*.pth` or `*.pt`.

    Returns:
        Name -> array, in the file's order. The arrays are C-contiguous copies of their own with
        the tensor's shape and element type, in native byte order.

    Raises:
        ValueError: the file is truncated, has bytes left over, is in another format, holds
            something else than tensors, names a global that is not allowed, or describes a
            tensor that does not lie inside its storage.
        OSError: the file cannot be read.

    Source: `torch/serialization.py` of PyTorch describes the format (`_legacy_save`).
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        return _parse(content)
    # NumPy's answer to a size that does not fit 64 bits is an OverflowError.
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "`path` must be a complete, legacy (pre-zip) PyTorch state dict. If a package brought "
            "this file, reinstall the package; if it was downloaded, download it again. "
            f"Received: path={str(path)!r}: {error}"
        ) from error


class _StorageType(NamedTuple):
    """Stand-in for a class such as `torch.FloatStorage`."""

    name: str
    dtype: np.dtype


class _Storage(NamedTuple):
    """Elements `start` to `start + numel` of the stored numbers called `key`."""

    key: str
    dtype: np.dtype
    stored_numel: int
    start: int
    numel: int


class _Tensor(NamedTuple):
    """Where a tensor's elements are; offset and strides count elements of the storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Constructor(NamedTuple):
    """A callable that a pickle may call but cannot change.

    Named tuples have no `__dict__` and no settable attribute, so the pickle instruction BUILD,
    which sets attributes, fails on them. It would succeed on a function, a class, or a frozen
    dataclass with slots (which carries a `__setstate__`), and outlive the read.
    """

    function: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


class _Mapping(dict):
    """Stand-in for `collections.OrderedDict`."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        # PyTorch attaches module versions (`_metadata`) here; they say nothing about the numbers.
        del state


def _tensor_stand_in(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    # rest: requires_grad, backward_hooks and perhaps metadata, meaningless without autograd.
    if len(rest) not in (2, 3) or not isinstance(storage, _Storage):
        refuse("a tensor has unexpected arguments")
    if not (_is_count(offset) and _are_counts(shape) and _are_counts(strides)):
        refuse("a tensor's offset, shape or strides are not counts")
    return _Tensor(storage, offset, shape, strides)


class _StateDictUnpickler(RestrictedUnpickler):
    """Unpickles a state dict into `_Mapping` and `_Tensor` records."""

    allowed_globals = {
        "collections.OrderedDict": _Constructor(_Mapping),
        "torch._utils._rebuild_tensor_v2": _Constructor(_tensor_stand_in),
        **{
            f"torch.{name}": _StorageType(name, np.dtype(dtype))
            for name, dtype in _STORAGE_DTYPES.items()
        },
    }

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage that `("storage", type, key, location, numel[, view])` refers to."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            return super().persistent_load(pid)
        _, storage_type, key, _location, numel, *view = pid
        if not (
            isinstance(storage_type, _StorageType) and isinstance(key, str) and _is_count(numel)
        ):
            return super().persistent_load(pid)
        if not view or view[0] is None:
            return _Storage(key, storage_type.dtype, numel, 0, numel)
        if not isinstance(view[0], tuple) or len(view[0]) != 3:
            return super().persistent_load(pid)
        _view_key, start, view_numel = view[0]
        if not _are_counts((start, view_numel)) or start + view_numel > numel:
            refuse(f"a view of storage {key!r} is not inside its {numel} elements")
        return _Storage(key, storage_type.dtype, numel, start, view_numel)


def _parse(content: bytes) -> dict[str, np.ndarray]:
    if content.startswith(_ZIP_SIGNATURE):
        raise ValueError(
            "this is PyTorch's newer zip format; save it again with "
            "torch.save(..., _use_new_zipfile_serialization=False)"
        )
    # From memory, because a length in the file is then cut to the bytes that exist instead of
    # being allocated first.
    stream = io.BytesIO(content)
    magic_number = _unpickle(RestrictedUnpickler, stream, "the magic number")
    if magic_number != _MAGIC_NUMBER:
        raise ValueError("the magic number is not PyTorch's")
    version = _unpickle(RestrictedUnpickler, stream, "the protocol version")
    if version != _PROTOCOL_VERSION:
        raise ValueError(f"the protocol version is not {_PROTOCOL_VERSION}")
    system = _unpickle(RestrictedUnpickler, stream, "the system information")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("the system information does not say little-endian")
    state = _unpickle(_StateDictUnpickler, stream, "the state dict")
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}, not a state dict")
    for name, value in state.items():
        if not isinstance(name, str):
            raise ValueError(f"a name in the state dict is of type {type(name).__name__}, not str")
        if not isinstance(value, _Tensor):
            kind = type(value).__name__
            raise ValueError(f"the state dict's {name!r} is of type {kind}, not a tensor")
    keys = _unpickle(RestrictedUnpickler, stream, "the list of storages")
    numbers = _read_storages(content, stream.tell(), keys, _storages_by_key(state))
    return {name: _array(name, tensor, numbers) for name, tensor in state.items()}


def _unpickle(unpickler: type[RestrictedUnpickler], stream: io.BytesIO, part: str) -> Any:
    try:
        return unpickle(unpickler, stream)
    except ValueError as error:
        raise ValueError(f"{part} cannot be read: {error}") from error


def _storages_by_key(state: dict[str, _Tensor]) -> dict[str, _Storage]:
    storages: dict[str, _Storage] = {}
    for name, tensor in state.items():
        storage = tensor.storage
        known = storages.setdefault(storage.key, storage)
        if (known.dtype, known.stored_numel) != (storage.dtype, storage.stored_numel):
            raise ValueError(f"tensor {name!r} describes storage {storage.key!r} differently")
    return storages


def _read_storages(
    content: bytes, position: int, keys: Any, storages: dict[str, _Storage]
) -> dict[str, memoryview]:
    is_listing = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_listing or len(keys) != len(storages) or set(keys) != set(storages):
        raise ValueError("the list of storages does not match the tensors")
    view = memoryview(content)
    numbers = {}
    for key in keys:
        storage = storages[key]
        start = position + 8
        position = start + storage.stored_numel * storage.dtype.itemsize
        if position > len(content):
            raise ValueError(
                f"truncated: storage {key!r} should end at byte {position}, "
                f"the file ends at byte {len(content)}"
            )
        numel = int.from_bytes(content[start - 8 : start], "little", signed=True)
        if numel != storage.stored_numel:
            raise ValueError(
                f"storage {key!r} has {numel} elements, its tensors say {storage.stored_numel}"
            )
        numbers[key] = view[start:position]
    if position != len(content):
        raise ValueError(f"{len(content) - position} bytes are left after the last storage")
    return numbers


def _array(name: str, tensor: _Tensor, numbers: dict[str, memoryview]) -> np.ndarray:
    storage, offset, shape, strides = tensor
    if len(shape) != len(strides):
        raise ValueError(f"tensor {name!r} has shape {shape} but strides {strides}")
    numel = math.prod(shape)
    extent = 0
    if numel:
        extent = 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    # The second condition stops a stride of 0 from blowing up a few bytes into terabytes.
    if offset + extent > storage.numel or numel > storage.numel:
        raise ValueError(
            f"tensor {name!r} (offset {offset}, shape {shape}, strides {strides}) is not inside "
            f"its storage of {storage.numel} elements"
        )
    if not numel:
        return np.empty(shape, storage.dtype.newbyteorder("="))
    itemsize = storage.dtype.itemsize
    view = np.ndarray(
        shape,
        storage.dtype,
        buffer=numbers[storage.key],
        offset=(storage.start + offset) * itemsize,
        # The step of an axis of size 1 is never taken and may be any number.
        strides=tuple(
            step * itemsize if size > 1 else 0 for size, step in zip(shape, strides, strict=True)
        ),
    )
    return np.array(view, dtype=storage.dtype.newbyteorder("="), order="C")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(_is_count(value) for value in values)
