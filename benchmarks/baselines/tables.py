"""Tables of floors in Markdown."""

from baselines.scoring import DIRECTIONS

__all__ = ["as_markdown"]

_ARROWS = {"image_to_text": "I->T", "text_to_image": "T->I"}
_PLAIN = {
    "fashion": ("coarse", "fine"),
    "fashion-attributes": ("ndcg", "coarse", "fine"),
}
_TITLES = {"ndcg": "NDCG@100"}


def as_markdown(results: dict) -> str:
    """What `floors.py` measured, a table for every data set and one for its unseen kinds."""
    versions = results["versions"]
    parts = [
        "# Floors: plain methods on our inputs, splits and measures",
        f"`{results['command']}`",
        f"{results['machine']}, Python {versions['python']}, TensorFlow {versions['tensorflow']}, "
        f"Keras {versions['keras']}, NumPy {versions['numpy']}.",
        "Inputs: pooled EfficientNet-Lite0 features at 128x128, and which of the 1,500 most "
        f"frequent training words a name has. Items of the role {results['role']} search the "
        "whole database of the other modality. Coarse: tie-averaged MAP@all, shares a label. "
        "Fine: the same, same articleType. NDCG@100 with gain 2^shared - 1. Own photo: share of "
        "names that find their own photo among the first 1 and 10 of the database and the photos "
        "of all searching items. Rows without bits are rankings by inner product of real vectors "
        f"(none for random order). Mean over seeds {_listed(results['seeds'])}.",
    ]
    for dataset in dict.fromkeys(each["dataset"] for each in results["measured"]):
        of_dataset = [each for each in results["measured"] if each["dataset"] == dataset]
        for unseen in dict.fromkeys(each["unseen_kinds"] for each in of_dataset):
            runs = [each for each in of_dataset if each["unseen_kinds"] == unseen]
            parts += _unseen(dataset, runs) if unseen else _all(dataset, runs)
    return "\n\n".join(parts) + "\n"


def _all(dataset: str, runs: list[dict]) -> list[str]:
    columns = [(_named(key), name, key) for key in _PLAIN[dataset] for name in DIRECTIONS]
    columns = [(f"{title} {_ARROWS[name]}", name, key) for title, name, key in columns]
    columns += [(f"own photo @{k}", "text_to_image", f"recall_{k}") for k in (1, 10)]
    return [f"## {dataset}", _counted(runs), _table(columns, runs)]


def _unseen(dataset: str, runs: list[dict]) -> list[str]:
    kinds = ", ".join(
        f"{name.partition('=')[2]} ({number})" for name, number in runs[0]["unseen"].items()
    )
    columns = [(f"fine {_ARROWS[name]}", name, "fine") for name in DIRECTIONS]
    return [
        f"## {dataset}, unseen kinds",
        f"No training item is of these kinds, with the number of items that search: {kinds}. "
        f"These search the whole database. {_counted(runs)}",
        _table(columns, runs),
    ]


def _counted(runs: list[dict]) -> str:
    counts = ", ".join(f"{number:,} {role}" for role, number in runs[0]["counts"].items())
    return f"Items: {counts}."


def _table(columns: list[tuple[str, str, str]], runs: list[dict]) -> str:
    lines = ["| method | bits | " + " | ".join(title for title, _, _ in columns) + " |"]
    lines.append("|---" * (2 + len(columns)) + "|")
    for rows in zip(*(run["rows"] for run in runs), strict=True):
        means = [sum(row[name][key] for row in rows) / len(rows) for _, name, key in columns]
        cells = " | ".join(f"{mean:.3f}" for mean in means)
        lines.append(f"| {rows[0]['method']} | {rows[0]['num_bits'] or '-'} | {cells} |")
    return "\n".join(lines)


def _named(measure: str) -> str:
    return _TITLES.get(measure, measure)


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)
