"""A legacy PyTorch file is read without PyTorch, and what is not one is refused."""

import builtins
import math
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.networks.torch_checkpoint import read_torch_checkpoint

MAGIC_NUMBER = 119547037146038801333356
STOP = b"."


# --- A pickle assembler: writes instructions, so that no test needs PyTorch or runs anything ---


@dataclass
class Global:
    module: str
    name: str


@dataclass
class Call:
    function: Any
    arguments: tuple


@dataclass
class Reference:
    pid: Any


@dataclass
class Build:
    target: Any
    state: Any


def instructions(value):
    match value:
        case None:
            return b"N"
        case True:
            return b"\x88"
        case False:
            return b"\x89"
        case int():
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + struct.pack("<B", len(raw)) + raw
        case str():
            raw = value.encode()
            return b"X" + struct.pack("<I", len(raw)) + raw
        case tuple():
            return b"(" + b"".join(map(instructions, value)) + b"t"
        case list():
            return b"(" + b"".join(map(instructions, value)) + b"l"
        case dict():
            return b"(" + b"".join(map(instructions, sum(value.items(), ()))) + b"d"
        case Global():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            return instructions(value.function) + instructions(value.arguments) + b"R"
        case Reference():
            return instructions(value.pid) + b"Q"
        case Build():
            return instructions(value.target) + instructions(value.state) + b"b"
    raise TypeError(value)


def pickled(value):
    return b"\x80\x02" + instructions(value) + STOP


ORDERED_DICT = Global("collections", "OrderedDict")
REBUILD = Global("torch._utils", "_rebuild_tensor_v2")
SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def storage(key="1", numel=6, kind="FloatStorage", view=None):
    return Reference(("storage", Global("torch", kind), key, "cpu", numel, view))


def tensor(source, offset, shape, strides):
    hooks = Call(ORDERED_DICT, ())
    return Call(REBUILD, (source, offset, shape, strides, False, hooks))


def state_dict(tensors):
    """As PyTorch writes it: an OrderedDict of pairs with a `_metadata` attribute."""
    pairs = [[name, value] for name, value in tensors.items()]
    metadata = {"_metadata": Call(ORDERED_DICT, ([["", {"version": 1}]],))}
    return Build(Call(ORDERED_DICT, (pairs,)), metadata)


def checkpoint_bytes(
    state, storages, magic=MAGIC_NUMBER, version=1001, system=SYSTEM, keys=None, tail=b""
):
    """`storages`: key -> array whose bytes follow the pickles."""
    keys = list(storages) if keys is None else keys
    parts = [pickled(part) for part in (magic, version, system, state, keys)]
    for array in storages.values():
        parts += [struct.pack("<q", array.size), array.tobytes()]
    return b"".join(parts) + tail


SIX = np.arange(6, dtype="<f4")


def small_checkpoint(**changes):
    arguments = {"state": state_dict({"x": tensor(storage(), 0, (2, 3), (3, 1))})}
    arguments["storages"] = {"1": SIX}
    return checkpoint_bytes(**{**arguments, **changes})


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return read_torch_checkpoint(path)

    return read_bytes


# --- What must be read ---


def test_read_contiguous_tensor_returns_its_numbers(read):
    result = read(small_checkpoint())
    assert list(result) == ["x"]
    np.testing.assert_array_equal(result["x"], [[0, 1, 2], [3, 4, 5]])
    assert result["x"].dtype == np.float32


def test_read_strides_and_offset_select_elements_of_a_shared_storage(read):
    state = state_dict(
        {
            "transposed": tensor(storage(), 0, (3, 2), (1, 3)),
            # Elements 1, 3 and 5.
            "odd": tensor(storage(), 1, (3,), (2,)),
            "scalar": tensor(storage(), 4, (), ()),
            "empty": tensor(storage(), 6, (0, 2), (2, 1)),
            "repeated": tensor(storage(), 5, (2, 2), (0, 0)),
            "any_step_where_size_is_1": tensor(storage(), 2, (1, 2), (2**70, 1)),
        }
    )
    result = read(checkpoint_bytes(state, {"1": SIX}))
    expected = {
        "transposed": [[0, 3], [1, 4], [2, 5]],
        "odd": [1, 3, 5],
        "scalar": 4,
        "empty": np.empty((0, 2)),
        "repeated": [[5, 5], [5, 5]],
        "any_step_where_size_is_1": [[2, 3]],
    }
    assert list(result) == list(expected)
    for name, array in result.items():
        np.testing.assert_array_equal(array, expected[name])
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.owndata


def test_read_arrays_of_one_storage_do_not_share_memory(read):
    state = state_dict({name: tensor(storage(), 0, (6,), (1,)) for name in "ab"})
    result = read(checkpoint_bytes(state, {"1": SIX}))
    result["a"][:] = -1
    np.testing.assert_array_equal(result["b"], SIX)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DoubleStorage", "<f8"),
        ("FloatStorage", "<f4"),
        ("HalfStorage", "<f2"),
        ("LongStorage", "<i8"),
        ("IntStorage", "<i4"),
        ("ShortStorage", "<i2"),
        ("CharStorage", "i1"),
        ("ByteStorage", "u1"),
    ],
)
def test_read_each_storage_type_keeps_its_dtype(read, kind, dtype):
    numbers = np.array([1, 2, 100], dtype)
    state = state_dict({"x": tensor(storage(numel=3, kind=kind), 0, (3,), (1,))})
    result = read(checkpoint_bytes(state, {"1": numbers}))["x"]
    np.testing.assert_array_equal(result, [1, 2, 100])
    assert result.dtype == np.dtype(dtype)


def test_read_several_storages_follow_the_order_of_the_key_list(read):
    state = state_dict(
        {
            "a": tensor(storage("10", 2), 0, (2,), (1,)),
            "b": tensor(storage("9", 1, "LongStorage"), 0, (), ()),
        }
    )
    storages = {"9": np.array([7], "<i8"), "10": np.array([1, 2], "<f4")}
    result = read(checkpoint_bytes(state, storages))
    np.testing.assert_array_equal(result["a"], [1, 2])
    assert result["b"] == 7


def test_read_view_of_a_storage_counts_from_its_start(read):
    # The view is elements 2 to 5; its own element 1 is the storage's element 3.
    source = storage(view=("2", 2, 4))
    state = state_dict({"x": tensor(source, 1, (2,), (1,))})
    np.testing.assert_array_equal(read(checkpoint_bytes(state, {"1": SIX}))["x"], [3, 4])


def test_read_reference_without_view_is_accepted(read):
    source = Reference(("storage", Global("torch", "FloatStorage"), "1", "cpu", 6))
    state = state_dict({"x": tensor(source, 0, (6,), (1,))})
    np.testing.assert_array_equal(read(checkpoint_bytes(state, {"1": SIX}))["x"], SIX)


axes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(axes=axes, offset=st.integers(0, 8), numel=st.integers(0, 30))
def test_read_any_geometry_equals_element_by_element_reading(tmp_path_factory, axes, offset, numel):
    shape, strides = tuple(size for size, _ in axes), tuple(step for _, step in axes)
    places = [
        offset + sum(i * step for i, step in zip(index, strides, strict=True))
        for index in np.ndindex(shape)
    ]
    numbers = np.arange(numel, dtype="<f4") * 3
    state = state_dict({"x": tensor(storage(numel=numel), offset, shape, strides)})
    path = tmp_path_factory.getbasetemp() / "geometry.pth"
    path.write_bytes(checkpoint_bytes(state, {"1": numbers}))

    fits = max(places, default=offset - 1) < numel and math.prod(shape) <= numel
    if fits:
        expected = np.array([numbers[place] for place in places]).reshape(shape)
        np.testing.assert_array_equal(read_torch_checkpoint(path)["x"], expected)
    else:
        with pytest.raises(ValueError, match="not inside its storage"):
            read_torch_checkpoint(path)


# --- What must not be run ---


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("os", "system", ("exit 1",)),
        ("posix", "system", ("exit 1",)),
        ("builtins", "eval", ("1 + 1",)),
        ("__builtin__", "eval", ("1 + 1",)),
        ("subprocess", "Popen", ("true",)),
        ("collections", "OrderedDict.fromkeys", ((),)),
        ("collections", "defaultdict", ()),
        ("torch", "load", ("elsewhere.pth",)),
        ("torch", "BFloat16Storage", ()),
        ("torch._utils", "_rebuild_parameter", ()),
    ],
)
@pytest.mark.parametrize("part", ["magic", "version", "system", "state", "keys"])
def test_read_foreign_global_is_named_and_not_called(
    read, monkeypatch, part, module, name, arguments
):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    monkeypatch.setattr(builtins, "eval", called.append)
    content = small_checkpoint(**{part: Call(Global(module, name), arguments)})
    with pytest.raises(ValueError, match=f"the global `{module}.{name}` is not allowed"):
        read(content)
    assert called == []


def test_read_foreign_module_is_not_imported(read, tmp_path, monkeypatch):
    (tmp_path / "trap_on_import.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="`trap_on_import.f` is not allowed"):
        read(small_checkpoint(state=Call(Global("trap_on_import", "f"), ())))


@pytest.mark.parametrize(
    "target",
    [
        Global("torch", "FloatStorage"),
        REBUILD,
        ORDERED_DICT,
        storage(),
        tensor(storage(), 0, (6,), (1,)),
    ],
    ids=["storage type", "rebuild", "OrderedDict", "storage", "tensor"],
)
@pytest.mark.parametrize("as_slots", [False, True])
def test_read_hostile_attributes_do_not_change_the_reader(read, target, as_slots):
    attributes = {"dtype": "u1", "function": 1, "name": "x", "key": "2", "offset": 3}
    state = (None, attributes) if as_slots else attributes
    with pytest.raises(ValueError, match="the state dict cannot be read"):
        read(small_checkpoint(state=Build(target, state)))
    np.testing.assert_array_equal(read(small_checkpoint())["x"], SIX.reshape(2, 3))


def test_read_attributes_of_the_state_dict_are_dropped(read):
    # An instance attribute would shadow the method that the reader calls next.
    state = Build(state_dict({"x": tensor(storage(), 0, (6,), (1,))}), {"items": REBUILD})
    np.testing.assert_array_equal(read(small_checkpoint(state=state))["x"], SIX)


def test_read_extension_registry_is_refused(read):
    content = small_checkpoint().replace(pickled(1001), b"\x80\x02\x82\x01" + STOP)
    with pytest.raises(ValueError, match="extension codes are not allowed"):
        read(content)


def test_read_huge_memo_index_is_refused_before_it_is_allocated(read):
    # LONG_BINPUT 0xffffffff: the C interpreter would ask for an array of 2**33 pointers.
    content = small_checkpoint().replace(pickled(1001), b"\x80\x02Nr\xff\xff\xff\xff" + STOP)
    with pytest.raises(ValueError, match="memo index"):
        read(content)


# --- What is damaged ---


def test_read_every_truncation_fails_and_names_the_file(read):
    content = small_checkpoint()
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"reinstall the package.*weights\.pth"):
            read(content[:length])


def test_read_every_damaged_byte_fails_clearly_or_gives_other_numbers(read):
    content = small_checkpoint()
    for position in range(len(content)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= flip
            try:
                result = read(bytes(damaged))
            except ValueError as error:
                assert "weights.pth" in str(error)
            else:
                assert all(isinstance(array, np.ndarray) for array in result.values())


def test_read_truncated_numbers_says_where(read):
    content = small_checkpoint()
    message = f"storage '1' should end at byte {len(content)}, the file ends at byte"
    with pytest.raises(ValueError, match=message):
        read(content[:-1])


def test_read_zip_format_says_how_to_save_again(read):
    with pytest.raises(ValueError, match="_use_new_zipfile_serialization=False"):
        read(b"PK\x03\x04" + bytes(100))


def test_read_missing_file_raises_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_torch_checkpoint(tmp_path / "absent.pth")


X = tensor(storage(), 0, (6,), (1,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": 5}, "the magic number is not PyTorch's"),
        ({"version": 1002}, "the protocol version is not 1001"),
        ({"system": {"little_endian": False}}, "little-endian"),
        ({"system": []}, "little-endian"),
        ({"state": [1, 2]}, "holds a list, not a state dict"),
        ({"state": X}, "not a state dict"),
        ({"state": {"epoch": 3, "x": X}}, "'epoch' is of type int, not a tensor"),
        ({"state": {"model": state_dict({"x": X})}}, "'model' is of type _Mapping, not a tensor"),
        ({"state": {1: X}}, "a name in the state dict is of type int"),
        ({"keys": ["2"]}, "list of storages does not match"),
        ({"keys": []}, "list of storages does not match"),
        ({"keys": ["1", "1"]}, "list of storages does not match"),
        ({"keys": "1"}, "list of storages does not match"),
        ({"keys": [1]}, "list of storages does not match"),
        ({"storages": {"1": SIX[:5]}}, "truncated"),
        ({"storages": {"1": np.arange(7, dtype="<f4")}}, "has 7 elements, its tensors say 6"),
        ({"tail": b"\x00"}, "1 bytes are left after the last storage"),
    ],
)
def test_read_unexpected_part_is_described(read, changes, message):
    with pytest.raises(ValueError, match=message):
        read(small_checkpoint(**changes))


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (3,), (3,)),
        (7, (0,), (1,)),
        (0, (2**40,), (0,)),
        (0, (2**62, 2**62), (0, 0)),
    ],
)
def test_read_tensor_outside_its_storage_is_refused(read, offset, shape, strides):
    state = state_dict({"layer.weight": tensor(storage(), offset, shape, strides)})
    with pytest.raises(ValueError, match="'layer.weight'.*not inside its storage of 6 elements"):
        read(small_checkpoint(state=state))


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((2, 3), (1,)), ((0, 2**70), (1, 1)), ((1,) * 70, (1,) * 70)],
    ids=["strides missing", "size beyond 64 bits", "too many axes"],
)
def test_read_impossible_shape_is_refused(read, shape, strides):
    with pytest.raises(ValueError, match=r"weights\.pth"):
        read(small_checkpoint(state=state_dict({"x": tensor(storage(), 0, shape, strides)})))


@pytest.mark.parametrize(
    "value",
    [
        tensor(storage(), -1, (2,), (1,)),
        tensor(storage(), 0, (2,), (-1,)),
        tensor(storage(), 0, (True,), (1,)),
        tensor(storage(), 0, [2], (1,)),
        tensor(storage(), "0", (2,), (1,)),
        tensor("storage", 0, (2,), (1,)),
        Call(REBUILD, (storage(), 0, (2,), (1,))),
        Call(REBUILD, ()),
        Reference("1"),
        Reference(("module", Global("torch", "FloatStorage"), "1", "cpu", 6)),
        Reference(("storage", "FloatStorage", "1", "cpu", 6)),
        Reference(("storage", Global("torch", "FloatStorage"), 1, "cpu", 6)),
        Reference(("storage", Global("torch", "FloatStorage"), "1", "cpu", -6)),
        storage(view=("2", 4, 3)),
        storage(view=("2", -1, 3)),
        storage(view=(0, 6)),
        storage(view=6),
    ],
)
def test_read_malformed_tensor_or_reference_is_refused(read, value):
    with pytest.raises(ValueError, match="the state dict cannot be read"):
        read(small_checkpoint(state=state_dict({"x": value})))


def test_read_storage_described_in_two_ways_is_refused(read):
    other = tensor(storage(kind="IntStorage"), 0, (6,), (1,))
    with pytest.raises(ValueError, match="'b' describes storage '1' differently"):
        read(small_checkpoint(state=state_dict({"a": X, "b": other})))
