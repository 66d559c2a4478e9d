"""What `quality.py` makes of runs: rows of scores, a Markdown table, differences."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from quality_figures import draw_curves, draw_differences

from udsph_tf.files import write_text

__all__ = ["equal_settings", "paired_changes", "run_rows", "write_tables"]

_T_QUANTILE = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % quantile of Student's t for 2, 3, ... 10 paired seeds."""

_ABOUT = (
    "MAP@all is tie-averaged, NDCG has gain 2^shared labels - 1; I->T: image asks, text is found; "
    "item: coded by picture and words together. The half-width is that of the 95 % bootstrap "
    "interval of a MAP over the items that ask."
)
_HALF_WIDTH = "95% CI half-width"


def equal_settings(stored: Mapping, settings: Mapping, defaults: Mapping) -> bool:
    """Was a stored run made with these settings?

    A key that came after it must have its default now: that is how the run was made.

    Args:
        stored, settings, defaults: `{section: {key: value}}`.
    """
    return all(
        value == stored[section].get(key, defaults[section][key])
        for section, table in settings.items()
        for key, value in table.items()
    )


def run_rows(results: Mapping, history: Sequence[Mapping], train_seconds: float) -> list[dict]:
    """Scores of a run, a row for each of its code lengths.

    Args:
        results: what `evaluate` returns.
        history: the lines of the run's history.
        train_seconds: how long training took.

    Returns:
        `{"num_bits", "scores"}`; `scores` by the names that an experiment's `measures` choose from.
    """
    by_length = {**results["shorter"], str(results["num_bits"]): results["directions"]}
    rows = []
    for num_bits, directions in by_length.items():
        scores = {"train s": train_seconds, "discriminator accuracy": _accuracy(history)}
        for short, asked, found in (("I->T", "image", "text"), ("T->I", "text", "image")):
            one = directions[f"{asked}_to_{found}"]
            scores[f"MAP {short}"] = one["map"]
            if one["map_interval"]:
                low, high = one["map_interval"]
                scores[f"{_HALF_WIDTH} {short}"] = (high - low) / 2
            for group, each in one.get("by_label_group", {}).items():
                scores[f"{group} MAP {short}"] = each["map"]
            scores[f"NDCG@100 {short}"] = one["ndcg_exponential_at_k"]["100"]
            scores[f"own item R@1 {short}"] = one["own_item_recall_at_k"]["1"]
            scores[f"own item R@10 {short}"] = one["own_item_recall_at_k"]["10"]
            fused = directions[f"{asked}_to_item"]
            scores[f"MAP {short[0]}->item"] = fused["map"]
            scores[f"NDCG@100 {short[0]}->item"] = fused["ndcg_exponential_at_k"]["100"]
            if "unseen" in results and int(num_bits) == results["num_bits"]:
                unseen = results["unseen"]["directions"][f"{asked}_to_{found}"]
                scores[f"unseen MAP {short}"] = unseen["map"]
                for group, each in unseen.get("by_label_group", {}).items():
                    scores[f"unseen {group} MAP {short}"] = each["map"]
        rows.append({"num_bits": int(num_bits), "scores": scores})
    return rows


def _accuracy(history: Sequence[Mapping]) -> float | None:
    """Of both discriminators in the last five epochs that have some; None without."""
    names = ("image_discriminator_accuracy", "text_discriminator_accuracy")
    lines = [line for line in history if names[0] in line][-5:]
    return float(np.mean([line[name] for line in lines for name in names])) if lines else None


def write_tables(
    folder: Path, name: str, command: str, experiment: Mapping, runs: Sequence[Mapping]
) -> None:
    """Write `<name>.json`, `<name>.md`, and what `quality_figures` draws.

    Args:
        folder: where to.
        name: of the files.
        command: what made the runs.
        experiment: the experiment file's content.
        runs: what `quality.py` stores of each run, in the order of its variants.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "experiment": experiment, "runs": runs}
    write_text(folder / f"{name}.json", json.dumps(content, indent=1) + "\n")
    groups = _by_variant(experiment["variants"], runs)
    measures = [
        each
        for each in experiment["measures"]
        if any(each in scores for group in groups.values() for scores in group.values())
    ]
    machines = sorted({run["machine"] for run in runs})
    tensorflow = sorted({run["versions"]["tensorflow"] for run in runs})
    seeds = ", ".join(str(seed) for seed in experiment["seeds"])
    lines = [
        f"# {experiment['title']}\n",
        f"`{command}`\n",
        f"{'; '.join(machines)}, TensorFlow {', '.join(tensorflow)}. Data set "
        f"`{experiment['dataset']}`, {experiment['role']} items against the whole database; mean "
        f"of seeds (of {seeds}), deviation between seeds in brackets. {_ABOUT}\n",
        *_header(measures),
    ]
    for (variant, num_bits), group in groups.items():
        cells = " | ".join(_cell([*group.values()], measure) for measure in measures)
        lines.append(f"| {variant} | {num_bits} | {len(group)} | {cells} |")
    if "baseline" in experiment:
        baseline = experiment["baseline"]
        compared = [
            each
            for each in measures
            if not each.endswith((" s", "accuracy")) and not each.startswith(_HALF_WIDTH)
        ]
        changes = paired_changes(groups, compared, baseline)
        if changes:
            lines += _difference_lines(changes, compared, baseline)
        if draw_differences(folder / f"{name}_differences.png", changes, compared, baseline):
            lines.append(f"\n![Differences to {baseline}]({name}_differences.png)")
    if draw_curves(folder / f"{name}.png", runs):
        lines.append(f"\n![Validation score after each epoch]({name}.png)")
    write_text(folder / f"{name}.md", "\n".join(lines) + "\n")


def _by_variant(variants, runs) -> dict[tuple[str, int], dict[int, dict]]:
    """Scores by seed of each variant and code length."""
    groups: dict[tuple[str, int], dict[int, dict]] = {}
    for variant in variants:
        for run in runs:
            if run["variant"] == variant:
                for row in run["rows"]:
                    group = groups.setdefault((variant, row["num_bits"]), {})
                    group[run["seed"]] = row["scores"]
    return groups


def _header(measures: Sequence[str]) -> tuple[str, str]:
    columns = ("variant", "bits", "seeds", *measures)
    return f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"


def _cell(scores: Sequence[Mapping], measure: str) -> str:
    values = [each.get(measure) for each in scores]
    if None in values:
        return "-"
    if measure.endswith(" s"):
        return f"{np.mean(values):.0f}"
    deviation = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def paired_changes(groups: Mapping, measures: Sequence[str], baseline: str) -> dict:
    """Variant minus baseline, paired by seed: mean and half-width of its 95 % interval.

    Args:
        groups: `{(variant, num_bits): {seed: scores}}`.
        measures: the scores to compare.
        baseline: the variant that the others are compared with.

    Returns:
        `{(variant, num_bits): (number of seeds, [(mean, half-width) or None of each measure])}` of
        the variants that share two seeds with the baseline. The interval is Student's t.
    """
    changes = {}
    for (variant, num_bits), group in groups.items():
        reference = groups.get((baseline, num_bits), {})
        seeds = [seed for seed in group if seed in reference]
        if variant != baseline and len(seeds) > 1:
            changes[variant, num_bits] = (
                len(seeds),
                [
                    _change([(group[seed].get(each), reference[seed].get(each)) for seed in seeds])
                    for each in measures
                ],
            )
    return changes


def _change(pairs: Sequence[tuple[float | None, float | None]]) -> tuple[float, float] | None:
    if any(None in pair for pair in pairs):
        return None
    change = [one - other for one, other in pairs]
    half = _T_QUANTILE[len(change) - 2] * np.std(change, ddof=1) / np.sqrt(len(change))
    return float(np.mean(change)), float(half)


def _difference_lines(changes: Mapping, measures: Sequence[str], baseline: str) -> list[str]:
    lines = [
        f"\nDifference to {baseline}, paired by seed, with its 95 % interval (Student's t):\n",
        *_header(measures),
    ]
    for (variant, num_bits), (seeds, cells) in changes.items():
        shown = ("-" if each is None else f"{each[0]:+.3f} ± {each[1]:.3f}" for each in cells)
        lines.append(f"| {variant} | {num_bits} | {seeds} | {' | '.join(shown)} |")
    return lines
