"""Rows computed once and kept on disk: memory-mapped, checksummed, resumed after a kill.

A cache is a folder named after a key that describes what its rows were computed from. It holds
one `.npy` file an array, and `progress.json` with the rows that are done, a CRC-32 for each chunk
and the rows that failed with their reasons. Rows are written before the progress that claims them;
a killed process loses none of them, and what a power failure takes the checksums tell.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import math
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from udsph_tf.files import write_text

__all__ = ["ArrayCache", "cache_key"]

_LOG = logging.getLogger(__name__)
_CHUNK = 512

Arrays = dict[str, np.ndarray]
Compute = Callable[[int, int], Iterator[tuple[Arrays, dict[int, str]]]]


def cache_key(*parts: str | bytes) -> str:
    """A short name for a cache, different for different parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update((part.encode() if isinstance(part, str) else part) + b"\x1e")
    return digest.hexdigest()[:24]


class ArrayCache:
    """Arrays of `num_rows` rows each, filled chunk by chunk.

    Args:
        folder: where the files are; made if absent.
        num_rows: number of rows.
        layout: for each array its shape without the row axis, and its dtype.
    """

    def __init__(
        self, folder: str | Path, num_rows: int, layout: Mapping[str, tuple[tuple[int, ...], str]]
    ):
        self.folder = Path(folder)
        self.num_rows = num_rows
        self.layout = dict(layout)
        self.failed: dict[int, str] = {}
        self._crcs: list[int] = []
        self._arrays: Arrays = {}

    def fill(self, compute: Compute, description: str, unit: str = "items") -> None:
        """Compute what is not there yet, with a progress bar that shows how many a second.

        Where two processes fill the same cache, the second waits and then finds the rows there.

        Args:
            compute: takes the first missing row and the rows of a chunk; yields chunk by chunk to
                the end the arrays of its rows and, by row number, the reasons of those that failed
                (their rows may hold anything).
            description: shown beside the progress bar.
            unit: what a row is, in the plural.
        """
        with _lock(self.folder):
            self._open()
            self._fill(compute, description, unit)

    def _fill(self, compute: Compute, description: str, unit: str) -> None:
        done = min(len(self._crcs) * _CHUNK, self.num_rows)
        started, missing = time.monotonic(), self.num_rows - done
        with tqdm(total=self.num_rows, initial=done, desc=description, unit=f" {unit}") as bar:
            chunks = range(done, self.num_rows, _CHUNK)
            for start, (arrays, failed) in zip(chunks, compute(done, _CHUNK), strict=True):
                end = min(start + _CHUNK, self.num_rows)
                crc = 0
                for name in self.layout:
                    part = np.ascontiguousarray(arrays[name], dtype=self._arrays[name].dtype)
                    self._arrays[name][start:end] = part
                    # Of what was computed, not of what the file gives back, which may be damaged.
                    crc = zlib.crc32(part, crc)
                self.failed.update(failed)
                self._crcs.append(crc)
                self._write_progress()
                bar.update(end - start)
        if missing:
            seconds = max(time.monotonic() - started, 1e-6)
            rate = f"{missing / seconds:,.0f} {unit} a second"
            _LOG.info("%s: %d computed in %.1f s, %s", description, missing, seconds, rate)

    def array(self, name: str) -> np.ndarray:
        """(num_rows, ...) memory-mapped, read-only."""
        view = self._arrays[name].view()
        view.flags.writeable = False
        return view

    def remove(self) -> None:
        """Delete the folder: what it holds is not to be used."""
        with _lock(self.folder):
            self._arrays = {}
            shutil.rmtree(self.folder)

    def _open(self) -> None:
        progress = self.folder / "progress.json"
        paths = {name: self.folder / f"{name}.npy" for name in self.layout}
        if progress.is_file() and all(path.is_file() for path in paths.values()):
            try:
                content = json.loads(progress.read_text(encoding="utf-8"))
                crcs = list(content["crcs"])
                failed = {int(row): str(why) for row, why in content["failed"].items()}
                arrays = {n: np.lib.format.open_memmap(p, mode="r+") for n, p in paths.items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                arrays = {}  # damaged: begin anew
            if arrays and all(
                arrays[name].shape == (self.num_rows, *shape) and arrays[name].dtype == dtype
                for name, (shape, dtype) in self.layout.items()
            ):
                self._arrays = arrays
                self._crcs = self._intact(crcs)
                # Rows that are computed again may succeed this time.
                done = len(self._crcs) * _CHUNK
                self.failed = {row: why for row, why in failed.items() if row < done}
                return
        self._crcs, self.failed = [], {}
        self._check_room()
        self._arrays = {
            name: np.lib.format.open_memmap(
                paths[name], mode="w+", dtype=dtype, shape=(self.num_rows, *shape)
            )
            for name, (shape, dtype) in self.layout.items()
        }

    def _check_room(self) -> None:
        # A memory map grows as it is written, and a full disk would then end the process.
        row = sum(
            math.prod(shape) * np.dtype(each).itemsize for shape, each in self.layout.values()
        )
        needed, free = self.num_rows * row, shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                f"The cache needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in "
                f"{self.folder}. Choose another folder with --cache"
            )

    def _intact(self, crcs: list[int]) -> list[int]:
        """The longest run of chunks whose bytes are those that were written."""
        for index, expected in enumerate(crcs):
            rows = slice(index * _CHUNK, min((index + 1) * _CHUNK, self.num_rows))
            crc = 0
            for name in self.layout:
                crc = zlib.crc32(np.ascontiguousarray(self._arrays[name][rows]), crc)
            if crc != expected:
                return crcs[:index]
        return crcs

    def _write_progress(self) -> None:
        content = {"num_rows": self.num_rows, "crcs": self._crcs, "failed": self.failed}
        write_text(self.folder / "progress.json", json.dumps(content))


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes from filling it; a killed one lets go by itself."""
    path = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have removed the folder while this one waited.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return
