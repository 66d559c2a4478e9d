"""Pickles of other programs, read without importing or running what they name.

A pickle is a program. Here it is looked through first and then runs in an interpreter that knows
only the names it is given, and hands out stand-ins for them. Limit: a hostile file cannot run code
here, but it can still waste time and memory.
"""

import pickle
import pickletools
from typing import Any, BinaryIO, NoReturn

__all__ = ["RestrictedUnpickler", "refuse", "unpickle"]

_MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")
_REGISTRY_READS = ("EXT1", "EXT2", "EXT4")

# What the interpreter raises on bytes that are no pickle it can finish, or ask for something else.
_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles numbers, strings, lists, tuples, dicts, and stand-ins for the names it allows."""

    allowed_globals: dict[str, Any] = {}
    """What stands in for `module.name`; every other name is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        qualified_name = f"{module_name}.{global_name}"
        # Never falls back to super(): that would import the module, which already runs code.
        if qualified_name not in self.allowed_globals:
            refuse(f"the global `{qualified_name[:80]}` is not allowed")
        return self.allowed_globals[qualified_name]

    def persistent_load(self, pid: Any) -> Any:
        # Not repr(pid): tuples nested in a few bytes can print as gigabytes.
        refuse(f"unexpected reference of type {type(pid).__name__}")


def unpickle(unpickler: type[RestrictedUnpickler], stream: BinaryIO) -> Any:
    """The next pickle of a stream that can be read twice; afterwards the stream stands behind it.

    Raises:
        ValueError: it is damaged, or asks for something that is not allowed.
    """
    start = stream.tell()
    try:
        _check_instructions(stream)
        stream.seek(start)
        return unpickler(stream).load()
    except _ERRORS as error:
        raise ValueError(str(error)) from error


def refuse(why: str) -> NoReturn:
    """Stop the pickle that is being read.

    Raises:
        pickle.UnpicklingError: always.
    """
    raise pickle.UnpicklingError(why)


def _check_instructions(stream: BinaryIO) -> None:
    """Refuse the two instructions that `find_class` does not see coming."""
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream), start=1):
        # The memo is an array as long as its largest index: one damaged byte asks for 64 GB.
        if instruction.name in _MEMO_WRITES and argument >= count:
            refuse("a memo index is larger than the number of instructions")
        # Names registered with `copyreg` by any other code in this process.
        if instruction.name in _REGISTRY_READS:
            refuse("extension codes are not allowed")
