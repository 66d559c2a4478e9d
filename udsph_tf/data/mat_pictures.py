"""Pictures inside a MATLAB file: the array `IAll` (or `images`) of the DCMH line.

`mat:/data/mirflickr25k-iall.mat!17` is the image source of row 17 (from 0). The authors' array is
224 x 224 x 3 x 20,015 in MATLAB's order of axes; n x 224 x 224 x 3 and n x 3 x 224 x 224 are read
too.
"""

import functools
import io
import os

import numpy as np
from PIL import Image

from udsph_tf.data.mat_file import MatFile

__all__ = ["PICTURES", "find_pictures", "mat_picture", "picture_axes"]

PICTURES = ("IAll", "images", "XAll")
"""Variables of pictures or of their feature vectors, the first that is there: of most files, of
`FLICKR-25K.mat`, and of files of vectors (`...-vgg.mat`)."""


def find_pictures(file: MatFile) -> str | None:
    """The name of the pictures' variable as a file spells it; None where it has none."""
    return next((spelt for name in PICTURES if (spelt := file.find(name))), None)


def picture_axes(path: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Which axis counts the pictures, and which of a picture's three axes is the colours.

    Raises:
        ValueError: the shape is none of the three that are read.
    """
    if len(shape) == 4:
        if shape[2] == 3:
            return 3, 2
        if shape[3] == 3:
            return 0, 2
        if shape[1] == 3:
            return 0, 0
    raise ValueError(
        f"{path}: {PICTURES[0]} must be height x width x 3 x n, or n x height x width x 3. "
        f"Received: shape={shape}"
    )


def mat_picture(path: str, row: int) -> bytes:
    """One picture as the bytes of a PNG file.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: SciPy or h5py is not installed.
        ValueError: the file is damaged, or the pictures are not of 0 to 255.
    """
    status = os.stat(path)
    file, array = _opened(path, status.st_size, status.st_mtime_ns)
    name = find_pictures(file)
    if name is None:
        raise ValueError(f"{path} has no variable {' or '.join(PICTURES)}")
    item_axis, colour_axis = picture_axes(path, file.shape(name))
    if array is None:
        picture = file.row(name, row, item_axis)
    else:
        picture = np.take(array, row, axis=item_axis)
    picture = np.moveaxis(picture, colour_axis, -1)
    if picture.dtype != np.uint8:
        # Pictures from which a mean was taken are not pictures any more.
        if not np.isfinite(picture).all() or picture.min() < 0 or picture.max() > 255:
            raise ValueError(f"{path}: {name} must hold colours of 0 to 255")
        picture = np.rint(picture).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@functools.lru_cache(maxsize=2)
def _opened(path: str, size: int, modified: int) -> tuple[MatFile, np.ndarray | None]:
    # MATLAB 5 cannot be read in parts, so its array is kept; MATLAB 7.3 is read picture by picture.
    file = MatFile(path)
    name = find_pictures(file)
    return file, None if file.is_hdf5 or name is None else file.array(name)
