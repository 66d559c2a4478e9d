"""An official download as it lies on disk: every file below a folder, zip archives looked into.

Readers ask for a file by the end of its path, so that one folder more after unzipping, or none,
makes no difference. What is missing is named together with what may be the cause: an archive that
is cut off, one that is still packed, or a root that is too deep.
"""

import contextlib
import functools
import logging
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Download", "Entry", "decode_text", "folder_with", "some"]

_LOG = logging.getLogger(__name__)
_MOST_ENTRIES = 4_000_000
_MOST_LOOKED_AT = 50_000
# What reading a damaged, encrypted or oddly packed member raises.
_DAMAGE = (
    EOFError,
    NotImplementedError,
    RuntimeError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
_DEEPEST = 8
_PACKED = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".rar", ".7z")
_UNFINISHED = (".part", ".crdownload", ".download", ".aria2", ".filepart")


@dataclass(frozen=True)
class Entry:
    """One file of a download.

    Args:
        inside: where it is below the root: `<file>`, or `<archive>/<member>`.
        file: the file, or the archive that holds it.
        archive: the opened archive, or None.
        member: its name in the archive.
    """

    inside: str
    file: Path
    archive: zipfile.ZipFile | None = None
    member: str = ""

    @property
    def path(self) -> str:
        """Where it is, for messages."""
        return f"{self.file}/{self.member}" if self.archive else str(self.file)

    @property
    def source(self) -> str:
        """The image source of this file (see `udsph_tf.data.images`)."""
        return f"zip:{self.file}!{self.member}" if self.archive else str(self.file)

    def size(self) -> int:
        """Bytes of the unpacked file."""
        return (
            self.archive.getinfo(self.member).file_size if self.archive else os.stat(self.file)[6]
        )

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file's bytes, to be read from front to back inside a `with` statement.

        Raises:
            ValueError: the archive is damaged or encrypted, also while its member is read.
        """
        try:
            with self.archive.open(self.member) if self.archive else open(self.file, "rb") as file:
                yield file
        except _DAMAGE as error:
            if not self.archive:
                raise
            remedy = "Download the archive again"
            if isinstance(error, (NotImplementedError, RuntimeError)):
                remedy = "Unpack the archive"  # it is encrypted, or packed in another way
            raise ValueError(
                f"{self.path} cannot be read from the archive {self.file}: "
                f"{str(error) or 'it is cut off'}. {remedy}"
            ) from error

    def read(self) -> bytes:
        """All bytes.

        Raises:
            ValueError: the archive is damaged.
        """
        with self.open() as file:
            return file.read()

    def text(self) -> str:
        """All of it as text: UTF-8, or UTF-16 with its mark.

        Raises:
            ValueError: it is not; the message names the file, the line and the remedy.
        """
        return decode_text(self.read(), self.path)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Lines that are not blank, with their numbers from 1; spaces around them are dropped."""
        # Only at line ends: `str.splitlines` also breaks at characters that captions may hold.
        for number, line in enumerate(re.split(r"\r\n|\n|\r", self.text()), start=1):
            if line.strip():
                yield number, line.strip()


class Download:
    """Files below a root, in folders and in zip archives. Use it in a `with` statement.

    Args:
        root: the folder.
        layout: what it should hold, for messages.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds too many files to be one data set.
    """

    def __init__(self, root: str | Path, layout: str):
        self.root = Path(root).resolve()
        self._layout = layout
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"There is no folder {root}. `--root` must be a folder with {layout}"
            )
        self._entries: list[Entry] = []
        self._archives: list[zipfile.ZipFile] = []
        self._broken: list[str] = []
        self._packed: list[str] = []
        self._unfinished: list[str] = []
        for path in _walk(self.root):
            self._add(path)
            if len(self._entries) > _MOST_ENTRIES:
                self.close()
                raise ValueError(
                    f"{root} holds more than {_MOST_ENTRIES:,} files. `--root` must be the data "
                    f"set's own folder, with {layout}"
                )

    def __enter__(self) -> "Download":
        return self

    def __exit__(self, error, *_) -> None:
        self.close()
        if self.incomplete and error is None:
            # It may hold what nobody misses, or half of the pictures.
            _warn_once(f"Below {self.root}, {'; '.join(self.incomplete)}. It was not looked into")

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives:
            archive.close()

    @property
    def incomplete(self) -> list[str]:
        """What is to be done about archives that are cut off, and downloads that never ended."""
        found = []
        if self._broken:
            found.append(f"{some(self._broken)} cannot be read: download it again")
        if self._unfinished:
            found.append(f"{some(self._unfinished)} is not a whole download: go on with it")
        return found

    def match(self, pattern: str) -> list[tuple[re.Match, Entry]]:
        """Files whose path ends as a regular expression says, whatever the case.

        A file that is there twice is given once, if both are equally long.

        Args:
            pattern: of the path's end, such as `tags/tags(\\d+)\\.txt`.

        Raises:
            ValueError: two different files have the same end.
        """
        expression = re.compile(f"(?:.*/)?({pattern})", re.IGNORECASE)
        found: dict[str, tuple[re.Match, Entry]] = {}
        for entry in self._entries:
            match = expression.fullmatch(entry.inside)
            if not match:
                continue
            name = match[1].lower()
            if name not in found:
                found[name] = match, entry
            elif entry.size() != found[name][1].size():
                raise ValueError(
                    f"Two different files {match[1]}: {found[name][1].path} and {entry.path}. "
                    "Leave the one that belongs to the data set"
                )
        return list(found.values())

    def one(self, pattern: str, name: str) -> Entry:
        """The file that `match` finds.

        Args:
            pattern: as for `match`.
            name: what is looked for, for messages.

        Raises:
            FileNotFoundError: there is none; the message names what may be the cause.
            ValueError: there are several.
        """
        found = self.maybe(pattern, name)
        if found is None:
            raise self.absent(pattern, name)
        return found

    def maybe(self, pattern: str, name: str) -> Entry | None:
        """As `one`, but None where there is none."""
        found = [entry for _, entry in self.match(pattern)]
        if len(found) > 1:
            raise ValueError(
                f"{name} is there {len(found)} times below {self.root}: "
                f"{some(entry.inside for entry in found)}. Leave the one that belongs to it"
            )
        return found[0] if found else None

    def absent(self, pattern: str, name: str) -> FileNotFoundError:
        """An error that says that nothing matches, and what may be the cause."""
        hints = list(self.incomplete)
        if self._packed:
            hints.append(f"{some(self._packed)} must be unpacked first")
        # Where an archive is cut off, that is why; other folders would only mislead.
        above = None if self.incomplete else self._above(pattern)
        if above:
            hints.append(f"if {above[1]} belongs to it, give the folder {above[0]}")
        return FileNotFoundError(
            f"There is no {name} below {self.root}. `--root` must be a folder with {self._layout}"
            + "".join(f"; {hint}" for hint in hints)
        )

    def _add(self, path: Path) -> None:
        name, inside = path.name.lower(), path.relative_to(self.root).as_posix()
        if name.endswith(_UNFINISHED):
            self._unfinished.append(inside)
        elif name.endswith(_PACKED):
            self._packed.append(inside)
        elif name.endswith(".zip"):
            try:
                archive = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                self._broken.append(f"{inside} ({error})")
                return
            self._archives.append(archive)
            for member in archive.infolist():
                parts = member.filename.split("/")
                if not member.is_dir() and not any(map(_is_hidden, parts)):
                    shown = f"{inside}/{member.filename}"
                    self._entries.append(Entry(shown, path, archive, member.filename))
        else:
            self._entries.append(Entry(inside, path))

    def _above(self, pattern: str) -> tuple[Path, Path] | None:
        """A folder one or two levels up that has such a file, and the file."""
        expression = re.compile(f"(?:.*/)?(?:{pattern})", re.IGNORECASE)
        for folder in self.root.parents[:2]:
            if folder == Path(folder.anchor):
                break
            for number, path in enumerate(_walk(folder, deepest=3, without=self.root)):
                if expression.fullmatch(path.relative_to(folder).as_posix()):
                    return folder, path
                if number > _MOST_LOOKED_AT:
                    break
        return None


def folder_with(file: str, root: str | Path, layout: str) -> Path:
    """The folder that holds a file: `root`, or one below it.

    Args:
        file: its name.
        root: the folder that was given.
        layout: what it should hold, for messages.

    Raises:
        FileNotFoundError: there is no such file; the message names what may be the cause.
        ValueError: it is inside an archive, or there are several.
    """
    if (Path(root) / file).is_file():
        return Path(root)
    with Download(root, layout) as files:
        entry = files.one(re.escape(file), file)
    if entry.archive:
        raise ValueError(f"{entry.path} is inside an archive. Unpack it, beside it or elsewhere")
    return entry.file.parent


def decode_text(data: bytes, path: str) -> str:
    """Text of a file: UTF-8, or UTF-16 with its mark.

    Args:
        data: the bytes.
        path: for messages.

    Raises:
        ValueError: it is neither; the message names the line and the remedy.
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not UTF-8 ({error.reason}). Download it again, or convert it: "
            "iconv -f ISO-8859-1 -t UTF-8"
        ) from error


def some(names, most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _walk(root: Path, deepest: int = _DEEPEST, without: Path | None = None) -> Iterator[Path]:
    """Files below a folder, folder by folder from the top; what is hidden is left out."""
    seen, folders = {str(without)}, [(root, 0)]
    for folder, depth in folders:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if _is(entry.is_dir):
                # Links are followed, since picture folders often are links; circles are not.
                real = os.path.realpath(entry.path)
                if depth < deepest and real not in seen:
                    seen.add(real)
                    folders.append((Path(entry.path), depth + 1))
            elif _is(entry.is_file):
                yield Path(entry.path)


@functools.cache
def _warn_once(message: str) -> None:
    _LOG.warning(message)


def _is(kind: Callable[[], bool]) -> bool:
    """Of an entry; a link that leads round in a circle is nothing."""
    try:
        return kind()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
