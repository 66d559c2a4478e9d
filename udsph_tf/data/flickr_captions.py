"""Flickr8k (Hodosh et al., JAIR 2013), Flickr30k (Young et al., TACL 2014): sentences, no labels.

Sentences come as `Flickr8k.token.txt` or `results_20130124.token` (`<picture>#<0-4>`, a tab, the
sentence a line), or as Kaggle's `results.csv` (`<picture>| <0-4>| <sentence>`) or `captions.txt`
(`<picture>,<sentence>` or `<picture>,<0-4>,<sentence>`, as its header says). Pictures are
`Flicker8k_Dataset/*.jpg` or `flickr30k-images/*.jpg`.

Splits, where they are there: `Flickr_8k.trainImages.txt`, `.devImages.txt`, `.testImages.txt`; for
Flickr30k `train.txt`, `val.txt`, `test.txt` (of Flickr30k Entities); or Karpathy and Fei-Fei's
`dataset_flickr8k.json` and `dataset_flickr30k.json` (8,000 and 31,014 pictures). Pictures in none
of the lists are left out.
Without labels only instance retrieval can be learned and measured, unless the user gives some.
"""

import csv
import logging
import re
from pathlib import Path, PurePosixPath

import numpy as np

from udsph_tf.data.captions import join_captions
from udsph_tf.data.checking import Finding, compare
from udsph_tf.data.download import Download, Entry
from udsph_tf.data.karpathy import karpathy_roles
from udsph_tf.data.label_file import read_labels
from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["check_flickr_captions", "read_flickr_captions"]

_LAYOUTS = {
    "flickr8k": "Flickr8k.token.txt (or captions.txt), Flickr_8k.trainImages.txt, .devImages.txt, "
    ".testImages.txt, and the pictures Flicker8k_Dataset/*.jpg",
    "flickr30k": "results_20130124.token (or results.csv), train.txt, val.txt, test.txt (or "
    "dataset_flickr30k.json), and the pictures flickr30k-images/*.jpg",
}
_SENTENCES = {
    "flickr8k": r"(?:Flickr8k\.token\.txt|captions\.txt)",
    "flickr30k": r"(?:(?:results_20130124|flickr30k)\.token(?:\.txt)?|results\.csv|captions\.txt)",
}
_LISTS = {
    "flickr8k": {
        "train": "Flickr_8k.trainImages.txt",
        "validation": "Flickr_8k.devImages.txt",
        "query": "Flickr_8k.testImages.txt",
    },
    "flickr30k": {"train": "train.txt", "validation": "val.txt", "query": "test.txt"},
}
# Pictures, sentences, and pictures in the authors' lists and in Karpathy's.
_NUMBERS = {
    "flickr8k": (8_091, 40_455, 8_000, 8_000),
    "flickr30k": (31_783, 158_915, 31_783, 31_014),
}
_PICTURE = r"([^/]+\.jpe?g)"
# One row of Kaggle's results.csv lacks its second separator.
_PIPED = re.compile(r"([^|]+)\|\s*(\d+)\s*\|?\s*(.*)")
_NUMBERED = re.compile(r"\s*(\d+)\s*,?\s*(.*)")
_TOKEN = re.compile(r"(.+?)#(\d+)(?:\s+(.*))?")
# Sentences of the authors' list whose picture they never published.
_UNPUBLISHED = "2258277193_586949ec62.jpg.1"
_AGAIN = "Download it again"
_LOG = logging.getLogger(__name__)


def read_flickr_captions(
    root: str | Path, name: str, *, captions: str = "each", labels: str = ""
) -> tuple[Pairs, list[Problem]]:
    """Read sentences and splits, and find the pictures.

    Args:
        root: the folder that holds sentences, lists and pictures.
        name: `"flickr8k"` or `"flickr30k"`.
        captions: see `join_captions`.
        labels: a file of labels by picture (see `read_labels`), or empty for none.

    Returns:
        The pairs, with the names of the pictures as ids and the official roles where their lists
        are there; and the pictures without a sentence, the sentences without a picture, and, with
        labels, the pictures without one.

    Raises:
        FileNotFoundError: the sentences, every picture, or one of the lists is missing.
        ValueError: the sentences are cut off, a line is not well formed, or a sentence is there
            twice.
    """
    with Download(root, _LAYOUTS[name]) as files:
        file, sentences = _sentences(files, name)
        pictures = _pictures(files)
        roles, _ = _roles(files, name)
    if roles is not None:
        others = sum(item not in roles for item in pictures)
        _LOG.info("%d pictures are in no list of the split, and are left out", others)
    named = read_labels(labels) if labels else None
    no_sentence = f"it has no sentence in {file.path}: download that file again"
    reasons = dict.fromkeys((item for item in pictures if item not in sentences), no_sentence)
    for item in sentences:
        if item not in pictures:
            reasons[item] = (
                f"there is no such picture below {files.root}: unpack the pictures, or download "
                "them again"
            )
        elif named is not None and not named.get(item):
            reasons[item] = f"the picture has no label in {labels}"
    if roles is not None:
        unknown = (item for item in roles if item not in sentences)
        reason = f"a list of the split names it, and {file.path} does not: download both again"
        reasons |= dict.fromkeys(unknown, reason)
        reasons = {item: reason for item, reason in reasons.items() if item in roles}
    problems = [
        Problem(item, pictures[item].source if item in pictures else file.path, reasons[item])
        for item in sorted(reasons)
    ]
    kept = [
        item
        for item in sorted(sentences)
        if item not in reasons and (roles is None or item in roles)
    ]
    if not kept:
        raise ValueError(
            f"No picture below {root} has all it needs: a sentence in {file.path}, a place in the "
            "lists of the split where there are some, and a label where data.labels gives some. "
            "Are they of the same data set?"
        )
    hot, label_names = np.zeros((len(kept), 0), np.uint8), ()
    if named is not None:
        hot, label_names = multi_hot(named[item] for item in kept)
    pairs = Pairs(
        name=name,
        ids=kept,
        images=[pictures[item].source for item in kept],
        texts=[join_captions(sentences[item], captions) for item in kept],
        labels=hot,
        label_names=label_names,
        roles=None if roles is None else [roles[item] for item in kept],
    )
    return pairs, problems


def check_flickr_captions(root: str | Path, name: str) -> list[Finding]:
    """Compare pictures, sentences and lists with the official data set."""
    number, said, listed, by_karpathy = _NUMBERS[name]
    with Download(root, _LAYOUTS[name]) as files:
        (_, sentences), pictures = _sentences(files, name), _pictures(files)
        roles, are_official = _roles(files, name)
    listed = listed if are_official else by_karpathy
    again = "Download or unpack them again"
    findings = [
        Finding("pictures", number, len(pictures), remedy=again),
        Finding("sentences", said, sum(map(len, sentences.values())), remedy=again),
        compare("pictures with sentences", list(pictures), list(sentences), again),
    ]
    if roles is None:
        remedy = "Without the lists the split is drawn at random"
        findings.append(Finding("pictures in the lists of the split", listed, 0, remedy=remedy))
    else:
        there = tuple(item for item in roles if item in pictures)
        absent = tuple(item for item in roles if item not in pictures)
        part = "pictures in the lists of the split"
        findings.append(Finding(part, listed, len(there), absent, remedy=again))
    return findings


def _sentences(files: Download, name: str) -> tuple[Entry, dict[str, list[str]]]:
    """The file, and its sentences by picture, in their order."""
    found = [entry for _, entry in files.match(_SENTENCES[name])]
    if not found:
        raise files.absent(_SENTENCES[name], f"file of sentences of {name}")
    # The authors' file where one of Kaggle's is beside it.
    kinds = (".token", ".csv", "")
    entry = min(found, key=lambda each: [kind in each.inside for kind in kinds].index(True))
    sentences: dict[str, dict[int, str]] = {}
    for line, item, number, text in _rows(entry):
        if item == _UNPUBLISHED:
            continue
        place = sentences.setdefault(item, {})
        if number is None:
            number = len(place)
        if number in place:
            raise ValueError(
                f"{entry.path}, line {line}: sentence {number} of {item} is there a second time. "
                f"{_AGAIN}"
            )
        place[number] = " ".join(text.split())
    if not sentences:
        raise ValueError(f"{entry.path} has no sentence. {_AGAIN}")
    *others, last = (len(each) for each in sentences.values())
    # Each picture has five; with fewer behind pictures that have equally many, the rest is gone.
    if len(set(others)) == 1 and last < others[0]:
        raise ValueError(
            f"{entry.path} is cut off: its last picture, {item}, has {last} sentences and each "
            f"other one {others[0]}. {_AGAIN}"
        )
    in_order = {
        item: [each[n] for n in sorted(each) if each[n]] for item, each in sentences.items()
    }
    return entry, {item: texts for item, texts in in_order.items() if texts}


def _rows(entry: Entry):
    """Line, picture, number (or None) and sentence."""
    lines = entry.lines()
    name = PurePosixPath(entry.inside).name.lower()
    if name == "captions.txt":
        columns = 2
        for line, content in lines:
            # A sentence with commas and without quotation marks is the rest of its line.
            item, *rest = next(csv.reader([content]))
            if line == 1 and not item.lower().endswith((".jpg", ".jpeg")):
                columns = 1 + len(rest)
                continue
            text, number = ",".join(rest), None
            if columns == 3 and (numbered := _NUMBERED.fullmatch(text)):
                number, text = int(numbered[1]), numbered[2]
            if not rest:
                raise _bad_line(entry, line, content, "<picture>,<sentence>")
            yield line, item.strip(), number, text
        return
    piped = name.endswith(".csv")
    for line, content in lines:
        if piped and line == 1 and content.startswith("image_name"):
            continue
        match = (_PIPED if piped else _TOKEN).fullmatch(content)
        if not match:
            expected = "<picture>| <number>| <sentence>" if piped else "<picture>#<number>, a tab"
            raise _bad_line(entry, line, content, expected)
        yield line, match[1].strip(), int(match[2]), match[3] or ""


def _bad_line(entry: Entry, line: int, content: str, expected: str) -> ValueError:
    return ValueError(
        f"{entry.path}, line {line}: must be {expected}. Received: {content[:60]!r}. Is it the "
        "right file, and whole?"
    )


def _pictures(files: Download) -> dict[str, Entry]:
    found = {match[2]: entry for match, entry in files.match(_PICTURE)}
    if not found:
        raise files.absent(_PICTURE, "picture")
    return found


def _roles(files: Download, name: str) -> tuple[dict[str, str] | None, bool]:
    """Roles by picture, None where there is no list of a split; and are the lists the authors'?"""
    lists = {
        role: files.maybe(file.replace(".", r"\."), file) for role, file in _LISTS[name].items()
    }
    if not any(lists.values()):
        entry = files.maybe(rf"dataset_{name}\.json", f"dataset_{name}.json")
        return karpathy_roles(entry.read(), entry.path) if entry else None, not entry
    roles: dict[str, str] = {}
    for role, entry in lists.items():
        if entry is None:
            file = _LISTS[name][role]
            raise files.absent(file.replace(".", r"\."), f"{file} beside the other lists")
        if not any(entry.lines()):
            raise ValueError(f"{entry.path} is empty. {_AGAIN}")
        for line, content in entry.lines():
            item = content if content.lower().endswith(".jpg") else f"{content}.jpg"
            if item in roles:
                raise ValueError(
                    f"{entry.path}, line {line}: {item} is in the lists a second time "
                    f"(first as {roles[item]}). Is it the right list? {_AGAIN}"
                )
            roles[item] = role
    return roles, True
