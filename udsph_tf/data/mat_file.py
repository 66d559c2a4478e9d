"""Variables of MATLAB files: of MATLAB 5 to 7 through SciPy, of 7.3 (HDF5) through h5py."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MatFile"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


class MatFile:
    """The variables of a MATLAB file, with the axes that they have in MATLAB.

    MATLAB 7.3 stores its arrays with their axes reversed, and h5py shows them so; here they are
    turned back. A file that another program wrote as plain HDF5 lacks MATLAB's marks and keeps its
    axes.

    Args:
        path: the file.

    Raises:
        ImportError: SciPy or h5py is not installed; the message has the pip command.
        FileNotFoundError: there is no such file.
        ValueError: it is not a whole MATLAB file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        _scipy_io(self.path)
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no {self.path}")
        with self.path.open("rb") as file:
            head = file.read(520)
        # MATLAB puts a text of its own before the HDF5 part.
        self.is_hdf5 = _HDF5 in (head[:8], head[512:520])
        self._is_reversed: dict[str, bool] = {}
        try:
            self._names = self._read_names()
        except _damage() as error:
            raise ValueError(
                f"{self.path} is not a whole MATLAB file (5 to 7.3): {error or type(error)}. "
                "Download it again"
            ) from error

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(self._names)

    def find(self, name: str) -> str | None:
        """The variable's name as the file spells it, whatever the case; None if it lacks it."""
        return next((each for each in self._names if each.lower() == name.lower()), None)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable, in MATLAB's order of axes; nothing is read."""
        return self._names[name]

    def array(self, name: str) -> np.ndarray:
        """A variable of numbers.

        Raises:
            ValueError: it is damaged, or no array of numbers.
        """
        value = self._read(name, slice(None))
        if hasattr(value, "toarray"):
            value = value.toarray()  # a sparse matrix
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "buif":
            raise ValueError(f"{self.path}: {name} must be an array of numbers")
        return value

    def row(self, name: str, index: int, axis: int) -> np.ndarray:
        """One slice of a variable of numbers: of MATLAB 7.3 without reading the others."""
        if not self.is_hdf5:
            return np.take(self.array(name), index, axis=axis)
        axes = len(self._names[name])
        stored = axes - 1 - axis if self._is_reversed[name] else axis
        place = tuple(index if each == stored else slice(None) for each in range(axes))
        return self._read(name, place)

    def strings(self, name: str) -> list[str]:
        """A variable of texts: a cell array of strings, or a matrix of characters, row by row.

        Raises:
            ValueError: it is damaged, or something else.
        """
        try:
            value = self._read_cells(name) if self.is_hdf5 else self._read(name, slice(None))
            found = [str(np.ravel(each)[0]) if np.size(each) else "" for each in np.ravel(value)]
        except _damage() as error:
            raise ValueError(f"{self.path}: {name} must be a cell array of strings") from error
        return [each.strip() for each in found]

    def _read_names(self) -> dict[str, tuple[int, ...]]:
        if self.is_hdf5:
            h5py = _h5py(self.path)
            with h5py.File(self.path, "r") as file:
                found = {
                    name: each for name, each in file.items() if isinstance(each, h5py.Dataset)
                }
                self._is_reversed = {
                    name: "MATLAB_class" in each.attrs for name, each in found.items()
                }
                return {
                    name: each.shape[::-1] if self._is_reversed[name] else each.shape
                    for name, each in found.items()
                }
        io = _scipy_io(self.path)
        return {name: tuple(shape) for name, shape, _ in io.whosmat(self.path)}

    def _read(self, name: str, place: Any) -> Any:
        try:
            if self.is_hdf5:
                with _h5py(self.path).File(self.path, "r") as file:
                    value = file[name][() if isinstance(place, slice) else place]
                return value.T if self._is_reversed[name] else value
            return _scipy_io(self.path).loadmat(self.path, variable_names=[name])[name]
        except _damage() as error:
            raise ValueError(
                f"{self.path}: {name} cannot be read: {error}. Download it again"
            ) from error

    def _read_cells(self, name: str) -> list[list[str]]:
        with _h5py(self.path).File(self.path, "r") as file:
            cells = file[name]
            if cells.dtype.kind == "O":
                # References to character arrays, which are numbers of 16 bits.
                codes = [file[each][()] for each in np.ravel(cells[()])]
            else:
                codes = list(np.atleast_2d(cells[()].T))
            return [["".join(map(chr, np.ravel(each)))] for each in codes]


def _damage() -> tuple[type[Exception], ...]:
    """What the two libraries raise at a file that is cut off or no MATLAB file."""
    from scipy.io.matlab import MatReadError

    known = (LookupError, EOFError, OSError, RuntimeError, TypeError, ValueError, zlib.error)
    return (*known, MatReadError, NotImplementedError)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path} is of MATLAB 7.3, which needs h5py: pip install 'udsph-tf[matlab]'"
        ) from error
    return h5py


def _scipy_io(path: Path) -> Any:
    try:
        import scipy.io
    except ImportError as error:
        raise ImportError(f"{path} needs SciPy: pip install 'udsph-tf[matlab]'") from error
    return scipy.io
