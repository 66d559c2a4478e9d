"""MS COCO (Lin et al., ECCV 2014) as it is distributed: captions, object labels and pictures.

`annotations/captions_train2017.json` and `annotations/instances_train2017.json`, the same for
`val2017`, and the pictures `train2017/<id>.jpg`, `val2017/<id>.jpg`; 2014 is alike, with pictures
`train2014/COCO_train2014_<id>.jpg`. Archives of pictures (`train2017.zip`) may stay packed.

An item is a picture with its sentences, five or a few more; its labels are the categories, of 80,
that have an object in it. Pictures without an object (about 1,070 of 123,287) have no label and are
left out by rule, which gives the literature's 122,218 items in either year.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from udsph_tf.data.captions import join_captions
from udsph_tf.data.checking import Finding, compare
from udsph_tf.data.download import Download, Entry, some
from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["check_coco", "read_coco"]

_LOG = logging.getLogger(__name__)
_PARTS = ("train", "val")
_AGAIN = "Download it again"
_NUM_CATEGORIES = 80
# Pictures, sentences and objects of each part.
_COUNTS = {
    ("train", 2017): (118_287, 591_753, 860_001),
    ("val", 2017): (5_000, 25_014, 36_781),
    ("train", 2014): (82_783, 414_113, 604_907),
    ("val", 2014): (40_504, 202_654, 291_875),
}


def read_coco(
    root: str | Path, year: int = 2017, *, captions: str = "all"
) -> tuple[Pairs, list[Problem]]:
    """Read sentences and labels, and find the pictures.

    Args:
        root: the folder that holds the annotations and the pictures, unpacked or as zip archives.
        year: 2014 or 2017. The pictures are the same, divided otherwise.
        captions: see `join_captions`.

    Returns:
        The pairs, with COCO's numbers of pictures as ids, in their order; and the pictures
        without a sentence. A part (`train`, `val`) that is absent is left out,
        with a warning.

    Raises:
        FileNotFoundError: a file of a part, or both parts, are missing.
        ImportError: ijson is not installed.
        ValueError: a file is cut off, has something else in it, or does not fit its partner.
    """
    names, sentences, labels, sources = {}, {}, {}, {}
    with Download(root, _layout(year)) as files:
        for part in _parts(files, year):
            found, said = _captions(files, part, year)
            labels |= _labels(files, part, year, found)
            pictures = _pictures(files, f"{part}{year}")
            if not pictures:
                what = f"picture of {part}{year}/ (to do without, take its annotations away)"
                raise files.absent(rf"{part}{year}/[^/]+\.jpg", what)
            # A picture that is not there has a source too, which is found wanting when it is read.
            folder = files.root / f"{part}{year}"
            sources |= {
                number: pictures.get(name.lower()) or str(folder / name)
                for number, name in found.items()
            }
            names |= found
            sentences |= said
    problems, kept = [], []
    for number in sorted(names):
        if number not in labels:
            continue
        if number in sentences:
            kept.append(number)
        else:
            reason = f"{names[number]} has no sentence in the captions file: download it again"
            problems.append(Problem(str(number), str(Path(root)), reason))
    hot, label_names = multi_hot(sorted(labels[number]) for number in kept)
    pairs = Pairs(
        name=f"coco{year}",
        ids=[str(number) for number in kept],
        images=[sources[number] for number in kept],
        texts=[join_captions(sentences[number], captions) for number in kept],
        labels=hot,
        label_names=label_names,
    )
    return pairs, problems


def check_coco(root: str | Path, year: int) -> list[Finding]:
    """Compare pictures, sentences, objects and categories with the official numbers."""
    findings, again = [], "Download or unpack them again"
    with Download(root, _layout(year)) as files:
        for part in _PARTS:
            split = f"{part}{year}"
            pictures, said, objects = _COUNTS[part, year]
            names, sentences = _captions(files, part, year)
            counts = _counts(files, part, year)
            there = set(_pictures(files, split))
            findings += [
                Finding(f"{split}: {what}", expected, number, remedy=again)
                for what, expected, number in (
                    ("pictures in the captions file", pictures, len(names)),
                    ("sentences", said, sum(map(len, sentences.values()))),
                    ("objects", objects, counts["annotations"]),
                    ("categories", _NUM_CATEGORIES, counts["categories"]),
                )
            ]
            listed = [name.lower() for name in names.values()]
            findings.append(compare(f"{split}: picture files", listed, there, again))
    return findings


def _layout(year: int) -> str:
    return (
        f"annotations/captions_train{year}.json and instances_train{year}.json, the same for "
        f"val{year}, and the pictures train{year}/ and val{year}/ (folders or zip archives)"
    )


def _parts(files: Download, year: int) -> list[str]:
    """The parts of which there is a file."""
    there = [p for p in _PARTS if files.match(rf"(?:captions|instances)_{p}{year}\.json")]
    if not there:
        raise files.absent(
            rf"captions_(?:train|val){year}\.json", f"annotations/captions_train{year}.json"
        )
    for part in set(_PARTS) - set(there):
        _LOG.warning("There is no annotation of %s%d: these pictures are left out", part, year)
    return there


def _json(files: Download, kind: str, part: str, year: int) -> Entry:
    name = f"{kind}_{part}{year}.json"
    return files.one(name.replace(".", r"\."), f"annotations/{name}")


def _items(entry: Entry, key: str) -> Iterator[dict[str, Any]]:
    """The objects of a file's array, one after the other: 450 MB need not be in memory at once."""
    try:
        import ijson
    except ImportError as error:
        raise ImportError(f"{entry.path} needs ijson: pip install 'udsph-tf[coco]'") from error
    try:
        with entry.open() as file:
            yield from ijson.items(file, f"{key}.item", use_float=True)
    except (EOFError, ijson.JSONError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{entry.path} is no whole JSON file ({_first_line(error)}). {_AGAIN}"
        ) from error


def _first_line(error: Exception) -> str:
    """What ijson says without its drawing, which may be bytes."""
    said = error.args[0] if error.args else ""
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(error)
    return said.strip().partition("\n")[0]


def _captions(files: Download, part: str, year: int) -> tuple[dict[int, str], dict[int, list[str]]]:
    """File names and sentences by picture."""
    entry = _json(files, "captions", part, year)
    try:
        names: dict[int, str] = {}
        for each in _items(entry, "images"):
            if each["id"] in names:
                raise ValueError(f"{entry.path}: picture {each['id']} is there twice. {_AGAIN}")
            names[each["id"]] = Path(each["file_name"]).name
        sentences: dict[int, list[tuple[int, str]]] = {}
        seen: set[int] = set()
        for each in _items(entry, "annotations"):
            if each["id"] in seen:
                raise ValueError(f"{entry.path}: sentence {each['id']} is there twice. {_AGAIN}")
            seen.add(each["id"])
            place = sentences.setdefault(each["image_id"], [])
            place.append((each["id"], " ".join(each["caption"].split())))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{entry.path} lacks {error} of the captions. Was it swapped with instances_{part}"
            f"{year}.json?"
        ) from error
    for what, found in (("picture", names), ("sentence", sentences)):
        if not found:
            raise ValueError(f"{entry.path} has no {what}. Is it the right file, and whole?")
    _check_known(entry, sentences.keys(), names.keys(), "sentences")
    in_order = {n: [text for _, text in sorted(each) if text] for n, each in sentences.items()}
    return names, {number: texts for number, texts in in_order.items() if texts}


def _labels(files: Download, part: str, year: int, names: dict[int, str]) -> dict[int, set[str]]:
    """Names of the categories by picture."""
    entry = _json(files, "instances", part, year)
    try:
        categories = {each["id"]: each["name"] for each in _items(entry, "categories")}
        labels: dict[int, set[str]] = {}
        for each in _items(entry, "annotations"):
            category = each["category_id"]
            if category not in categories:
                raise ValueError(
                    f"{entry.path} has an object of the category {category}, which it does not "
                    f"list. {_AGAIN}"
                )
            labels.setdefault(each["image_id"], set()).add(categories[category])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{entry.path} lacks {error} of the objects. Was it swapped with captions_{part}"
            f"{year}.json?"
        ) from error
    if not labels:
        raise ValueError(f"{entry.path} has no object. Is it the right file, and whole?")
    _check_known(entry, labels.keys(), names.keys(), "objects")
    return labels


def _check_known(entry: Entry, asked, known, what: str) -> None:
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise ValueError(
            f"{entry.path} has {what} of pictures that the captions file does not list: "
            f"{some(unknown)}. Are both files of the same part and year?"
        )


def _counts(files: Download, part: str, year: int) -> dict[str, int]:
    entry = _json(files, "instances", part, year)
    return {key: sum(1 for _ in _items(entry, key)) for key in ("annotations", "categories")}


def _pictures(files: Download, split: str) -> dict[str, str]:
    """Sources of the part's pictures by file name."""
    found = files.match(rf"{split}/([^/]+\.jpg)")
    return {match[2].lower(): entry.source for match, entry in found}
