"""Files and folders that are whole or absent: written to a temporary name, flushed, renamed."""

import contextlib
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["load_array", "new_folder", "sha256", "write_bytes", "write_text", "writing"]

_PARSING = threading.RLock()


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path of the same suffix; rename it to `path` if the block succeeds.

    A reader, or a crash, sees the old file or the new one, never half.

    Args:
        path: file to write or replace; its folder must exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing(Path(folder, "a.txt")) as temporary:
        ...         _ = temporary.write_text("one")
        ...     [(entry.name, entry.read_text()) for entry in Path(folder).iterdir()]
        [('a.txt', 'one')]
    """
    path = Path(path)
    # A name of its own for every writer: two of them must not share a half-written file.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a whole file, or nothing.

    Raises:
        OSError: the folder does not exist or cannot be written to; an old file stays as it was.
    """
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def new_folder(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden folder beside `path`; rename it to `path` if the block succeeds.

    A process killed on the way leaves at most that hidden folder (`.<name>.<random>.tmp`), which
    may be deleted. With `overwrite` the old folder is deleted once the new one is in place; killed
    between these two, it is still there as `.<name>.<random>.old`.

    Args:
        path: the folder to make; its parents are made if need be.
        overwrite: replace a folder that is there.

    Raises:
        FileExistsError: `path` exists and `overwrite` is not given, or it is no folder.
    """
    path = Path(path).resolve()
    _check_absent(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        # Somebody else may have made the folder while this one was being written.
        _check_absent(path, overwrite)
        _put_in_place(temporary, path, overwrite)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_array(path: str | os.PathLike, *, mapped: bool = False) -> np.ndarray:
    """The array of a `.npy` file, in one thread after the other.

    NumPy has Python parse the header, and CPython 3.11 counts the depth of what it parses for all
    threads together: two at once may end in a `SystemError` (cpython issue 106905).

    Args:
        path: the file; pickled objects are refused.
        mapped: map the file read-only instead of reading it.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no array.
    """
    with _PARSING:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_absent(path: Path, overwrite: bool) -> None:
    if os.path.lexists(path) and not path.is_dir():
        raise FileExistsError(f"{path} is a file, which no folder can replace. Choose another name")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(
            f"{path} exists. Choose another folder, or pass overwrite (--overwrite) to replace it"
        )


def _put_in_place(temporary: Path, path: Path, overwrite: bool) -> None:
    if not (overwrite and path.exists()):
        try:
            os.rename(temporary, path)
        except OSError:
            # The folder may have come into being since the last look.
            _check_absent(path, overwrite=False)
            raise
        return
    aside = path.with_name(temporary.name.removesuffix(".tmp") + ".old")
    os.rename(path, aside)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)
