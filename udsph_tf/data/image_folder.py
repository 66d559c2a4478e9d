"""A data set's JPEG pictures: in the folder `images/`, or in the archive `images.zip` beside it."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

__all__ = ["image_source", "image_stems"]


def image_source(root: Path) -> Callable[[str], str]:
    """Function from the stem of a picture's file name to its image source.

    A picture that is not there has a source too, which is found wanting when it is read.

    Args:
        root: the folder with `images/` or `images.zip` in it.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: the archive is not a whole one.
    """
    folder, archive = root / "images", root / "images.zip"
    if folder.is_dir():
        base = folder.resolve()
        return lambda item: str(base / f"{item}.jpg")
    names = {Path(name).name: name for name in _members(archive)}
    return lambda item: f"zip:{archive.resolve()}!{names.get(f'{item}.jpg', f'{item}.jpg')}"


def image_stems(root: Path) -> set[str]:
    """Stems of the pictures that are there; arguments and errors as for `image_source`."""
    folder = root / "images"
    names = os.listdir(folder) if folder.is_dir() else _members(root / "images.zip")
    paths = (PurePosixPath(name) for name in names)
    return {path.stem for path in paths if path.suffix == ".jpg" and path.name[0] != "."}


def _members(archive: Path) -> list[str]:
    if not archive.is_file():
        raise FileNotFoundError(
            f"There is neither {archive.with_suffix('')}/ nor {archive}. Unpack the pictures, or "
            "give the folder that has them"
        )
    try:
        with zipfile.ZipFile(archive) as members:
            return members.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{archive} is not a complete zip archive ({error}); download it again"
        ) from error
