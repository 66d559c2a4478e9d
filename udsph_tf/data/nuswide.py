"""NUS-WIDE (Chua et al., CIVR 2009) as its authors distribute it: lists, and pictures by Flickr.

`Groundtruth/AllLabels/Labels_<concept>.txt` (81 files: 0 or 1 a line), `ImageList/Imagelist.txt`
(`actor\\0001_2124494179.jpg`, with Windows' separators), `NUS_WID_Tags/AllTags1k.txt` (1,000
columns of 0 and 1) and `NUS_WID_Tags/TagList1k.txt` (its words): every list has 269,648 lines in
the order of the image list. The pictures are `Flickr/<folder>/<name>.jpg`.

TC-21 and TC-10 keep the pictures with at least one of the 21 (10) most frequent concepts: 195,834
and 186,577. Some of them have none of the 1,000 tags; the literature counts them all the same.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from udsph_tf.data.checking import Finding, compare
from udsph_tf.data.download import Download, Entry
from udsph_tf.data.pairs import Pairs, Problem

__all__ = ["CONCEPTS", "check_nuswide", "read_nuswide"]

CONCEPTS = (
    "airport",
    "animal",
    "beach",
    "bear",
    "birds",
    "boats",
    "book",
    "bridge",
    "buildings",
    "cars",
    "castle",
    "cat",
    "cityscape",
    "clouds",
    "computer",
    "coral",
    "cow",
    "dancing",
    "dog",
    "earthquake",
    "elk",
    "fire",
    "fish",
    "flags",
    "flowers",
    "food",
    "fox",
    "frost",
    "garden",
    "glacier",
    "grass",
    "harbor",
    "horses",
    "house",
    "lake",
    "leaf",
    "map",
    "military",
    "moon",
    "mountain",
    "nighttime",
    "ocean",
    "person",
    "plane",
    "plants",
    "police",
    "protest",
    "railroad",
    "rainbow",
    "reflection",
    "road",
    "rocks",
    "running",
    "sand",
    "sign",
    "sky",
    "snow",
    "soccer",
    "sports",
    "statue",
    "street",
    "sun",
    "sunset",
    "surf",
    "swimmers",
    "tattoo",
    "temple",
    "tiger",
    "tower",
    "town",
    "toy",
    "train",
    "tree",
    "valley",
    "vehicle",
    "water",
    "waterfall",
    "wedding",
    "whales",
    "window",
    "zebra",
)
"""The 81 concepts."""

_LAYOUT = (
    "Groundtruth/AllLabels/Labels_<concept>.txt, ImageList/Imagelist.txt, "
    "NUS_WID_Tags/AllTags1k.txt and TagList1k.txt, and the pictures Flickr/<folder>/<name>.jpg"
)
_NUM_PICTURES, _NUM_TAGS = 269_648, 1_000
_SIZES = {21: 195_834, 10: 186_577}
_LABELS = r"AllLabels/Labels_(\w+)\.txt"
_LIST, _TAGS, _WORDS = r"Imagelist\.txt", r"AllTags1k\.txt", r"TagList1k\.txt"
_PICTURE = r"(?:[^/]+/)?([^/]+\.jpe?g)"
_BLOCK = 1 << 24


def read_nuswide(
    root: str | Path, *, num_concepts: int = 21, untagged: str = "keep"
) -> tuple[Pairs, list[Problem]]:
    """Read lists, labels and tags, and find the pictures.

    Args:
        root: the folder that holds the downloads, unpacked or as zip archives.
        num_concepts: how many of the most frequent concepts are labels.
        untagged: what becomes of a picture without a tag: `"keep"` it with an empty text, as the
            literature's counts do, or `"skip"` it.

    Returns:
        The pairs, with ids `actor/0001_2124494179`, in the order of the image list, and no
        problem: pictures that are missing, which Flickr may have lost, are found when they are
        read.

    Raises:
        FileNotFoundError: a list or every picture is missing.
        ValueError: lists have unequal lengths, or a line is not what it should be.
    """
    with Download(root, _LAYOUT) as files:
        listed = files.one(_LIST, "ImageList/Imagelist.txt")
        names = _image_names(listed)
        labels, concepts = _labels(files, listed, len(names))
        common = _most_frequent(labels, num_concepts)
        kept = labels[:, common].any(axis=1)
        if not kept.any():
            raise ValueError(
                f"No picture below {files.root} has one of the {num_concepts} most frequent "
                "concepts: Groundtruth/AllLabels holds 0 alone. Download it again"
            )
        texts = _texts(files, listed, len(names))
        if untagged == "skip":
            kept &= np.array([bool(text) for text in texts])
        pictures = _Pictures(files)
    rows, folder = np.flatnonzero(kept), Path(root).resolve() / "Flickr"
    pairs = Pairs(
        name=f"nuswide-tc{num_concepts}",
        ids=[_stem(names[row]) for row in rows],
        # A picture that is not there has a source too, which is found wanting when it is read.
        images=[pictures.find(names[row]) or str(folder / names[row]) for row in rows],
        texts=[texts[row] for row in rows],
        labels=labels[np.ix_(rows, common)],
        label_names=[concepts[column] for column in common],
    )
    return pairs, []


def check_nuswide(root: str | Path, num_concepts: int) -> list[Finding]:
    """Compare lists and pictures with the official data set."""
    again = "Download it again"
    with Download(root, _LAYOUT) as files:
        listed = files.one(_LIST, "ImageList/Imagelist.txt")
        names = _image_names(listed)
        found = [match[2].lower() for match, _ in files.match(_LABELS)]
        findings = [
            Finding("lines of Imagelist.txt", _NUM_PICTURES, len(names), remedy=again),
            compare("label lists", CONCEPTS, found, again),
            Finding("words of TagList1k.txt", _NUM_TAGS, len(_words(files)[1]), remedy=again),
        ]
        tag_file = files.one(_TAGS, "NUS_WID_Tags/AllTags1k.txt")
        lines = sum(len(block) for block in _blocks(tag_file, _NUM_TAGS, "the tags"))
        findings.append(Finding("lines of AllTags1k.txt", _NUM_PICTURES, lines, remedy=again))
        if set(CONCEPTS) <= set(found):
            labels, _ = _labels(files, listed, len(names))
            common = _most_frequent(labels, num_concepts)
            kept = int(labels[:, common].any(axis=1).sum())
            part = f"pictures with one of the {num_concepts} most frequent concepts"
            findings.append(Finding(part, _SIZES[num_concepts], kept))
        pictures = _Pictures(files)
        absent = tuple(name for name in names if pictures.find(name) is None)
        there = len(names) - len(absent)
        remedy = "Unpack them, or fetch them from Flickr; those that it has lost are left out"
        findings.append(Finding("picture files", len(names), there, absent, remedy=remedy))
    return findings


class _Pictures:
    """Picture files by the end of their path, `actor/0001_2124494179.jpg`, or by their name alone
    where all are in one folder; or, of those who fetched them, by Flickr's number of the photo."""

    def __init__(self, files: Download):
        self._by_path, self._by_name = {}, {}
        for match, entry in files.match(_PICTURE):
            self._by_path[match[1].lower()] = entry
            self._by_name[match[2].lower()] = entry
        if not self._by_path:
            raise files.absent(_PICTURE, "picture Flickr/<folder>/<name>.jpg")

    def find(self, name: str) -> str | None:
        name = name.lower()
        file = PurePosixPath(name).name
        entry = (
            self._by_path.get(name)
            or self._by_name.get(file)
            or self._by_name.get(file.rpartition("_")[2])
        )
        return entry.source if entry else None


def _stem(name: str) -> str:
    return re.sub(r"\.[^./]+$", "", name)


def _image_names(entry: Entry) -> list[str]:
    """`actor/0001_2124494179.jpg` of each line."""
    names, seen = [], {}
    for line, content in entry.lines():
        name = content.replace("\\", "/")
        if not name.lower().endswith((".jpg", ".jpeg")):
            raise ValueError(
                f"{entry.path}, line {line}: must be a picture such as actor\\0001_2124494179.jpg. "
                f"Received: {content[:60]!r}"
            )
        if name in seen:
            raise ValueError(
                f"{entry.path}, line {line}: {content} is there a second time (first in line "
                f"{seen[name]}). Download the list again"
            )
        seen[name] = line
        names.append(name)
    if not names:
        raise ValueError(f"{entry.path} is empty. Download it again")
    return names


def _labels(files: Download, listed: Entry, number: int) -> tuple[np.ndarray, list[str]]:
    """(number, 81) of 0 and 1, and the concepts."""
    lists = {match[2].lower(): entry for match, entry in files.match(_LABELS)}
    columns = []
    for concept in CONCEPTS:
        if concept not in lists:
            # Without one of them the most frequent ones might be others.
            name = f"Groundtruth/AllLabels/Labels_{concept}.txt"
            raise files.absent(rf"AllLabels/Labels_{concept}\.txt", name)
        entry = lists[concept]
        column = np.concatenate([np.zeros((0, 1), np.uint8), *_blocks(entry, 1, concept)])
        _check_lines(entry, len(column), listed, number)
        columns.append(column)
    return np.concatenate(columns, axis=1), list(CONCEPTS)


def _most_frequent(labels: np.ndarray, number: int) -> np.ndarray:
    """Columns of the most frequent labels, in their order; of equally frequent ones the first."""
    counts = labels.sum(axis=0, dtype=np.int64)
    return np.sort(np.argsort(-counts, kind="stable")[:number])


def _words(files: Download) -> tuple[Entry, list[str]]:
    entry = files.one(_WORDS, "NUS_WID_Tags/TagList1k.txt")
    return entry, ["".join(content.split()) for _, content in entry.lines()]


def _texts(files: Download, listed: Entry, number: int) -> list[str]:
    """The tags of each line, as words."""
    entry = files.one(_TAGS, "NUS_WID_Tags/AllTags1k.txt")
    word_list, words = _words(files)
    texts = []
    for block in _blocks(entry, len(words), f"the words of {word_list.path}"):
        texts += [" ".join(words[column] for column in np.flatnonzero(row)) for row in block]
    _check_lines(entry, len(texts), listed, number)
    return texts


def _check_lines(entry: Entry, lines: int, listed: Entry, number: int) -> None:
    if lines != number:
        raise ValueError(
            f"{entry.path} has {lines:,} lines, but the image list has {number:,} ({listed.path}). "
            "Download again what is cut off"
        )


def _blocks(entry: Entry, width: int, columns: str) -> Iterator[np.ndarray]:
    """Rows of 0 and 1, however they are spaced, some megabytes at a time: (rows, width) uint8.

    The whole file of 1,000 columns has half a gigabyte. `columns` says what they are, for messages.
    """
    line, rest = 1, b""
    with entry.open() as file:
        while True:
            data = file.read(_BLOCK)
            block, found, tail = (rest + data).rpartition(b"\n") if data else (rest, b"", b"")
            rest = tail
            values = np.frombuffer(block + found, np.uint8)
            # 0, 1 and what may stand between them: spaces, tabs, line ends.
            digits = (values == 48) | (values == 49)
            blank = (values == 32) | ((values >= 9) & (values <= 13))
            ones = values[digits] - 48
            rows = _count_lines(block)
            if not (digits | blank).all() or len(ones) != rows * width or _joined(digits):
                raise _wrong_line(entry, block, width, line, columns)
            yield ones.reshape(rows, width)
            line += rows
            if not data:
                return


def _count_lines(block: bytes) -> int:
    return sum(1 for line in block.split(b"\n") if line.strip())


def _joined(digits: np.ndarray) -> bool:
    """Do two digits stand side by side, as in `10`?"""
    return bool((digits[1:] & digits[:-1]).any())


def _wrong_line(entry: Entry, block: bytes, width: int, first: int, columns: str) -> ValueError:
    number = first
    for line in block.split(b"\n"):
        fields = line.split()
        if fields and (len(fields) != width or not set(fields) <= {b"0", b"1"}):
            break
        number += bool(fields)
    return ValueError(
        f"{entry.path}, line {number}: must be {width} times 0 or 1 ({columns}). Received "
        f"{len(fields)} fields: {line[:40].decode(errors='replace')!r}. Were files swapped? "
        "Download again what is cut off"
    )
