"""An official download as it lies on disk: every file below a folder, zip archives looked into.

Readers ask for a file by the end of its path, so that one folder more after unzipping, or none,
makes no difference. What is missing is named together with what may be the cause: an archive that
is cut off, one that is still packed, or a root that is one level too deep.
"""

import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Download", "Entry", "decode_text", "some"]

_MOST_ENTRIES = 4_000_000
_DEEPEST = 8
_PACKED = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".rar", ".7z")
_UNFINISHED = (".part", ".crdownload", ".download", ".aria2", ".filepart")


@dataclass(frozen=True)
class Entry:
    """One file of a download.

    Args:
        path: where it is, for messages: `<file>`, or `<archive>/<member>`.
        file: the file, or the archive that holds it.
        archive: the opened archive, or None.
        member: its name in the archive.
    """

    path: str
    file: Path
    archive: zipfile.ZipFile | None = None
    member: str = ""

    @property
    def source(self) -> str:
        """The image source of this file (see `udsph_tf.data.images`)."""
        return f"zip:{self.file}!{self.member}" if self.archive else str(self.file)

    def size(self) -> int:
        """Bytes of the unpacked file."""
        return (
            self.archive.getinfo(self.member).file_size if self.archive else os.stat(self.file)[6]
        )

    def open(self) -> BinaryIO:
        """The file's bytes, to be read from front to back.

        Raises:
            ValueError: the archive is damaged.
        """
        return self.archive.open(self.member) if self.archive else open(self.file, "rb")

    def read(self) -> bytes:
        """All bytes.

        Raises:
            ValueError: the archive is damaged.
        """
        try:
            with self.open() as file:
                return file.read()
        except (EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path} is damaged ({error}); download it again") from error

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

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives."""
        for archive in self._archives:
            archive.close()

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
            match = expression.fullmatch(entry.path)
            if not match:
                continue
            name = match[1].lower()
            if name not in found:
                found[name] = match, entry
            elif entry.size() != found[name][1].size():
                raise ValueError(
                    f"Two different files {match[1]}: {found[name][1].path} and {entry.path} "
                    f"(below {self.root}). Leave the one that belongs to the data set"
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
                f"{some(entry.path for entry in found)}. Leave the one that belongs to the data set"
            )
        return found[0] if found else None

    def absent(self, pattern: str, name: str) -> FileNotFoundError:
        """An error that says that nothing matches, and what may be the cause."""
        hints = []
        if self._broken:
            hints.append(f"{some(self._broken)} cannot be read: download it again")
        if self._unfinished:
            hints.append(f"{some(self._unfinished)} is not a whole download")
        if self._packed:
            hints.append(f"{some(self._packed)} must be unpacked first")
        if self._in_parent(pattern):
            hints.append(f"{self.root.parent} has it: give that folder")
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

    def _in_parent(self, pattern: str) -> bool:
        expression = re.compile(f"(?:.*/)?(?:{pattern})", re.IGNORECASE)
        parent = self.root.parent
        for number, path in enumerate(_walk(parent, deepest=3)):
            if expression.fullmatch(path.relative_to(parent).as_posix()):
                return True
            if number > 50_000:
                break
        return False


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


def _walk(root: Path, deepest: int = _DEEPEST) -> Iterator[Path]:
    """Files below a folder, folder by folder from the top; what is hidden is left out."""
    seen, folders = set(), [(root, 0)]
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


def _is(kind: Callable[[], bool]) -> bool:
    """Of an entry; a link that leads round in a circle is nothing."""
    try:
        return kind()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
