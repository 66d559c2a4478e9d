"""Evaluate a finished run on its query items: results.json, plots, a table."""

from pathlib import Path

from udsph_tf.evaluation import (
    evaluate_directions,
    plot_precision_at_k,
    plot_precision_by_radius,
    plot_precision_recall,
    write_results,
)
from udsph_tf.training.coding import Coder
from udsph_tf.training.material import prepare
from udsph_tf.training.run_folder import RunFolder

__all__ = ["evaluate"]

_ROLES = ("query", "validation")


def evaluate(
    run: RunFolder, cache: str | Path, *, role: str = "query", within: bool = False, seed: int = 0
) -> dict:
    """Search the database with held-back items, in both directions.

    Args:
        run: a finished run.
        cache: folder of caches that runs share.
        role: `"query"`, or `"validation"` while something is still being chosen.
        within: also image to image and text to text.
        seed: seed of the bootstrap intervals.

    Returns:
        What `results.json` (or `results_validation.json`) holds: `directions` as
        `evaluate_directions` gives them, a `summary`, and what was evaluated.

    Raises:
        FileNotFoundError: the run has not ended.
        ValueError: an unknown role, or no item has it.
    """
    if role not in _ROLES:
        raise ValueError(f"`role` must be one of {_ROLES}. Received: role={role!r}")
    finished = run.require_finished()
    config = run.config()
    material = prepare(config, run, cache)
    pairs = material.pairs
    if not len(pairs.indices(role)):
        raise ValueError(
            f"The run in {run.path} holds back no {role} items. To choose something on them, fit "
            "with --set data.num_validation=0 (a tenth) or a number"
        )
    model = run.load()
    rows = {"query": pairs.indices(role), "database": pairs.indices("database")}
    codes = {
        (modality, name): Coder(hasher).packed(inputs.take(rows[name]))
        for modality, hasher, inputs in (
            ("image", model.image_hasher, material.image),
            ("text", model.text_hasher, material.text),
        )
        for name in rows
    }
    groups = pairs.label_groups()
    directions = evaluate_directions(
        codes["image", "query"],
        codes["text", "query"],
        codes["image", "database"],
        codes["text", "database"],
        pairs.labels[rows["query"]],
        pairs.labels[rows["database"]],
        label_groups=groups if len(groups) > 1 else None,
        within=within,
        seed=seed,
    )
    results = {
        "summary": {
            name: {"map": each["map"], "map_interval": each["map_interval"]}
            for name, each in directions.items()
        },
        "dataset": pairs.name,
        "role": role,
        "relevance": "shares at least one label",
        "counts": {name: len(pairs.indices(name)) for name in ("train", "database", role)},
        "best_epoch": finished["best_epoch"],
        "directions": directions,
    }
    suffix = "" if role == "query" else f"_{role}"
    write_results(run.path / f"results{suffix}.json", results)
    plots = run.path / f"plots{suffix}"
    plots.mkdir(exist_ok=True)
    plot_precision_recall(directions, plots / "precision_recall.png")
    plot_precision_at_k(directions, plots / "precision_at_k.png")
    plot_precision_by_radius(directions, plots / "precision_by_radius.png")
    return results
