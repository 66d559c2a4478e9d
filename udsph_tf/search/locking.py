"""One writer at a time for an index folder, by a lock file beside it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked", "may_change"]


@contextlib.contextmanager
def locked(folder: str | os.PathLike, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an index folder, `.<name>.lock` beside it.

    It is not in the folder, nor the folder itself, because both are replaced as a whole. The file
    is empty and stays there; the system lets go of the lock when its holder ends, however it ends.

    Args:
        folder: the index folder; its parent must exist.
        shared: keep writers out and let other readers in; the lock file must exist.

    Raises:
        OSError: the lock file cannot be made or opened.
    """
    flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
    descriptor = os.open(_lock_file(folder), flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def may_change(folder: str | os.PathLike) -> bool:
    """Whether anybody has ever changed or replaced the folder, so that he may be at it now."""
    return _lock_file(folder).is_file()


def _lock_file(folder: str | os.PathLike) -> Path:
    folder = Path(folder).resolve()
    return folder.with_name(f".{folder.name}.lock")
