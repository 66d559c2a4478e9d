"""MIRFlickr-25K (Huiskes and Lew, MIR 2008) as its authors distribute it.

`mirflickr25k.zip` unpacks to `mirflickr/` with `im1.jpg` to `im25000.jpg`, `meta/tags/tags<n>.txt`
(one processed tag a line) and `doc/common_tags.txt`; `mirflickr25k_annotations_v080.zip` has, with
no folder of its own, a file of picture numbers for each of 24 potential labels (`baby.txt`) and for
14 of them the narrower relevant one (`baby_r1.txt`).

The literature's 20,015 items: tags that fewer than 20 of the 25,000 pictures have are dropped, then
pictures without a tag or without one of the 24 potential labels. The order is by picture number,
which is also the order of the rows in the matrices of the DCMH line.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from udsph_tf.data.checking import Finding, compare
from udsph_tf.data.download import Download, Entry, some
from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["POTENTIAL", "RELEVANT", "check_mirflickr25k", "read_mirflickr25k"]

_LOG = logging.getLogger(__name__)

POTENTIAL = (
    "animals",
    "baby",
    "bird",
    "car",
    "clouds",
    "dog",
    "female",
    "flower",
    "food",
    "indoor",
    "lake",
    "male",
    "night",
    "people",
    "plant_life",
    "portrait",
    "river",
    "sea",
    "sky",
    "structures",
    "sunset",
    "transport",
    "tree",
    "water",
)
"""Labels of which at least a part of a picture shows something."""
RELEVANT = (
    "baby",
    "bird",
    "car",
    "clouds",
    "dog",
    "female",
    "flower",
    "male",
    "night",
    "people",
    "portrait",
    "river",
    "sea",
    "tree",
)
"""Labels with a second, narrower list: the picture is about it."""

_LAYOUT = (
    "mirflickr/im<n>.jpg, mirflickr/meta/tags/tags<n>.txt and the label lists of the annotations "
    "(baby.txt, baby_r1.txt, ...)"
)
_NUM_PICTURES = 25_000
_NUM_TAGS = 1_386
_LEAST_OFTEN = 20
# Pictures with a potential label: those of the lists, and those of each list that are among the
# 20,015 items, by the sums of the DCMH line's matrix. A whole list has at least as many.
_NUM_LABELLED = 24_581
_LEAST = dict(
    zip(
        POTENTIAL,
        (2647, 179, 644, 986, 3230, 581, 4614, 1554, 813, 6320, 704, 4743)
        + (2243, 7848, 7413, 2740, 811, 1133, 6818, 8463, 1840, 2450, 3981, 2885),
        strict=True,
    )
)
_AGAIN = "Download mirflickr25k_annotations_v080.zip again"
_PICTURE, _TAGS = r"im(\d+)\.jpg", r"tags/tags(\d+)\.txt"


def read_mirflickr25k(
    root: str | Path, *, relevant: bool = False, least_often: int = _LEAST_OFTEN
) -> tuple[Pairs, list[Problem]]:
    """Read tags and labels, and find the pictures.

    Args:
        root: the folder that holds `mirflickr/` and the annotations, unpacked or as zip archives.
        relevant: give all 38 labels, the potential and the relevant ones kept apart as groups
            (`potential=baby`, `relevant=baby`); the items are the same.
        least_often: pictures that must have a tag for it to be kept.

    Returns:
        The pairs, in the order of the picture numbers, and the items of the protocol that cannot
        be used, because their tag file is missing.

    Raises:
        FileNotFoundError: a label list, every picture or every tag file is missing.
        ValueError: a label list is empty, cut off, or holds something else than picture numbers.
    """
    with Download(root, _LAYOUT) as files:
        pictures, tag_files = _numbered(files, _PICTURE), _numbered(files, _TAGS)
        for found, pattern, name in (
            (pictures, _PICTURE, "picture im<n>.jpg"),
            (tag_files, _TAGS, "tag file meta/tags/tags<n>.txt"),
        ):
            if not found:
                raise files.absent(pattern, name)
        lists = _label_lists(files)
        potential = {name: _numbers(files, lists, name) for name in POTENTIAL}
        narrower = {}
        if relevant:
            narrower = {name: _numbers(files, lists, f"{name}_r1") for name in RELEVANT}
        if len(tag_files) >= _NUM_PICTURES:
            _check_lengths(lists, potential)
        tags = _kept_tags(tag_files, least_often)
    labels: dict[int, list[str]] = {}
    for group, numbers_of in (("potential", potential), ("relevant", narrower)):
        for name, numbers in numbers_of.items():
            for number in numbers:
                label = f"{group}={name}" if relevant else name
                labels.setdefault(number, []).append(label)
    labelled = set().union(*potential.values())
    problems, kept = [], []
    for number in sorted(labelled | tags.keys()):
        item = f"im{number}"
        if number not in tag_files:
            reason = f"there is no tags{number}.txt: unpack the tags, or download them again"
            problems.append(Problem(item, str(Path(root)), reason))
        elif number in labelled and tags[number]:
            kept.append(number)
    if not kept:
        raise ValueError(
            f"No picture below {root} has both a label and a tag that {least_often} pictures have. "
            "Are tags and annotations of the same download?"
        )
    hot, names = multi_hot(labels[number] for number in kept)
    # A picture that is not there has a source too, which is found wanting when it is read.
    folder = Path(root).resolve() / "mirflickr"
    pairs = Pairs(
        name="mirflickr25k-38" if relevant else "mirflickr25k",
        ids=[f"im{number}" for number in kept],
        images=[pictures[n].source if n in pictures else str(folder / f"im{n}.jpg") for n in kept],
        texts=[" ".join(tags[number]) for number in kept],
        labels=hot,
        label_names=names,
    )
    return pairs, problems


def check_mirflickr25k(root: str | Path) -> list[Finding]:
    """Compare pictures, tag files, kept tags and label lists with the official data set."""
    again = "Download or unpack them again"
    official = [*POTENTIAL, *(f"{name}_r1" for name in RELEVANT)]
    every = range(1, _NUM_PICTURES + 1)
    with Download(root, _LAYOUT) as files:
        pictures, tag_files = _numbered(files, _PICTURE), _numbered(files, _TAGS)
        lists = _label_lists(files)
        findings = [
            compare("pictures", _names(every, "im", ".jpg"), _names(pictures, "im", ".jpg"), again),
            compare(
                "tag files",
                _names(every, "tags", ".txt"),
                _names(tag_files, "tags", ".txt"),
                again,
            ),
            compare("label lists", _names(official, "", ".txt"), _names(lists, "", ".txt"), again),
        ]
        labelled, short = set(), []
        for name in lists:
            numbers = _numbers(files, lists, name)
            labelled |= numbers if name in POTENTIAL else set()
            outside = sorted(numbers - set(every))
            if outside:
                part = f"unknown pictures in {name}.txt"
                findings.append(Finding(part, 0, len(outside), extra=_names(outside, "im")))
            if len(numbers) < _LEAST.get(name, 0):
                short.append(f"{name}.txt ({len(numbers):,} pictures, at least {_LEAST[name]:,})")
        if short:
            part = "label lists that are cut off"
            findings.append(Finding(part, 0, len(short), extra=tuple(short), remedy=_AGAIN))
        part = "pictures with a potential label"
        findings.append(Finding(part, _NUM_LABELLED, len(labelled), remedy=_AGAIN))
        kept = {tag for tags in _kept_tags(tag_files, _LEAST_OFTEN).values() for tag in tags}
        part = f"tags of at least {_LEAST_OFTEN} pictures"
        findings.append(Finding(part, _NUM_TAGS, len(kept), remedy=again))
        listed = files.maybe(r"doc/common_tags\.txt", "doc/common_tags.txt")
        if listed:
            tags = [content.split()[0] for _, content in listed.lines()]
            findings.append(compare("the same, by doc/common_tags.txt", tags, kept, again))
    return findings


def _numbered(files: Download, pattern: str) -> dict[int, Entry]:
    return {int(match[2]): entry for match, entry in files.match(pattern)}


def _label_lists(files: Download) -> dict[str, Entry]:
    names = "|".join(POTENTIAL)
    return {m[2].lower(): entry for m, entry in files.match(rf"((?:{names})(?:_r\d)?)\.txt")}


def _names(stems: Iterable[object], before: str, after: str = "") -> tuple[str, ...]:
    return tuple(f"{before}{stem}{after}" for stem in stems)


def _numbers(files: Download, lists: dict[str, Entry], name: str) -> set[int]:
    """Picture numbers of a label list."""
    if name not in lists:
        raise files.absent(rf"{name}\.txt", f"label list {name}.txt")
    entry = lists[name]
    numbers: list[int] = []
    for line, content in entry.lines():
        if not content.isascii() or not content.isdigit():
            raise ValueError(
                f"{entry.path}, line {line}: must be the number of a picture. Received: "
                f"{content[:40]!r}. Is this the list of the annotations, v080?"
            )
        numbers.append(int(content))
    if not numbers:
        raise ValueError(f"{entry.path} is empty. {_AGAIN}")
    rising = all(one < other for one, other in zip(numbers[:-2], numbers[1:-1], strict=True))
    if rising and numbers[-1] < max(numbers[:-1], default=0) and not _ends_a_line(entry):
        raise ValueError(
            f"{entry.path} is cut off: it ends in {numbers[-1]}, a part of a number. {_AGAIN}"
        )
    return set(numbers)


def _ends_a_line(entry: Entry) -> bool:
    return entry.read().endswith((b"\n", b"\r"))


def _check_lengths(lists: dict[str, Entry], potential: dict[str, set[int]]) -> None:
    for name, least in _LEAST.items():
        if len(potential[name]) < least:
            raise ValueError(
                f"{lists[name].path} is cut off: it has {len(potential[name]):,} pictures, and "
                f"{least:,} of the literature's items have this label. {_AGAIN}"
            )


def _kept_tags(tag_files: dict[int, Entry], least_often: int) -> dict[int, list[str]]:
    """Each picture's tags in the order of its file, without those that are too rare."""
    tags, unreadable = {}, []
    for number, entry in tag_files.items():
        text = entry.read().decode("utf-8-sig", errors="replace")
        lines = [line.strip() for line in text.split("\n")]
        # A tag that is not UTF-8 cannot be compared with others; the picture keeps its others.
        if "\ufffd" in text:
            unreadable.append(entry.path)
        tags[number] = list(dict.fromkeys(each for each in lines if each and "\ufffd" not in each))
    if unreadable:
        _LOG.warning(
            "Tags that are not UTF-8 are left out, in %s. Convert these files to keep them",
            some(unreadable),
        )
    counts = Counter(tag for each in tags.values() for tag in each)
    return {n: [tag for tag in each if counts[tag] >= least_often] for n, each in tags.items()}
