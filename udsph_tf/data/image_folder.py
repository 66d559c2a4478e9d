"""A data set's JPEG pictures: in the folder `images/`, or in the archive `images.zip` beside it."""

import zipfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["image_source"]


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
    if archive.is_file():
        try:
            with zipfile.ZipFile(archive) as members:
                names = {Path(name).name: name for name in members.namelist()}
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{archive} is not a complete zip archive ({error}); download it again"
            ) from error
        return lambda item: f"zip:{archive.resolve()}!{names.get(f'{item}.jpg', f'{item}.jpg')}"
    raise FileNotFoundError(f"There is neither {folder}/ nor {archive}")
