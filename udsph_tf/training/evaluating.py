"""Evaluate a finished run on its query items: results.json, plots, a table."""

from pathlib import Path

import numpy as np

from udsph_tf.codes import binarize, first_bits, fuse, pack
from udsph_tf.evaluation import (
    evaluate_directions,
    plot_precision_at_k,
    plot_precision_by_radius,
    plot_precision_recall,
    write_results,
)
from udsph_tf.training.coding import Coder
from udsph_tf.training.finetuning import prepare_finetuning
from udsph_tf.training.instances import recall_both_ways
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
        `evaluate_directions` gives them, a `summary`, what was evaluated, and under `shorter` the
        directions of each shorter length of a nested code. Across modalities a direction also has
        `own_item_recall_at_k`: how often a held-back item finds its own counterpart among the
        database and all held-back items; and `own_item_recall_among_held_back_at_k`, among the
        latter alone, as the literature on captions has it. Without labels a direction has nothing
        else, and its `map` is None. With `data.unseen_kinds` there is `unseen`: the `kinds` that
        training left out, and the `directions` of the held-back items of these kinds alone.

    Raises:
        FileNotFoundError: the run has not ended.
        ValueError: an unknown role, or no item has it.
    """
    if role not in _ROLES:
        raise ValueError(f"`role` must be one of {_ROLES}. Received: role={role!r}")
    finished = run.require_finished()
    config = run.config()
    material = prepare(config, run, cache)
    if finished["finetuned"]:
        material, _ = prepare_finetuning(config, run, material, cache)
    pairs = material.pairs
    rows = {name: pairs.indices(name) for name in (role, "database")}
    if not len(rows[role]):
        raise ValueError(
            f"The run in {run.path} holds back no {role} items. To choose something on them, fit "
            "with --set data.num_validation=0 (a tenth) or a number"
        )
    model = run.load()
    hashers = {
        "image": (Coder(model.image_hasher), material.image),
        "text": (Coder(model.text_hasher), material.text),
    }
    hashes = {
        (modality, name): np.tanh(coder.logits(inputs.take(rows[name])))
        for modality, (coder, inputs) in hashers.items()
        for name in rows
    }
    codes = {key: pack(binarize(each)) for key, each in hashes.items()}
    codes["item", "database"] = pack(fuse(hashes["image", "database"], hashes["text", "database"]))
    groups = pairs.label_groups()
    items, database_items = (
        None if material.items is None else material.items[rows[name]] for name in rows
    )

    def search(cut: dict, asking: np.ndarray | slice) -> dict:
        return evaluate_directions(
            cut["image", role][asking],
            cut["text", role][asking],
            cut["image", "database"],
            cut["text", "database"],
            pairs.labels[rows[role]][asking],
            pairs.labels[rows["database"]],
            label_groups=groups if len(groups) > 1 else None,
            within=within,
            fused_database=cut["item", "database"],
            seed=seed,
        )

    def of_length(num_bits: int) -> dict:
        cut = {key: first_bits(each, num_bits) for key, each in codes.items()}
        if pairs.label_names:
            directions = search(cut, slice(None))
        else:
            directions = {
                name: {"map": None, "map_interval": None, "map_stable": None}
                for name in ("image_to_text", "text_to_image")
            }
        asked, database = (
            {modality: cut[modality, name] for modality in ("image", "text")} for name in rows
        )
        nothing = {modality: packed[:0] for modality, packed in database.items()}
        for key, searched in (
            ("own_item_recall_at_k", database),
            ("own_item_recall_among_held_back_at_k", nothing),
        ):
            found = recall_both_ways(asked, searched, items, database_items)
            for direction, recalls in found.items():
                directions[direction][key] = recalls
        return directions

    *shorter, num_bits = config.loss.nested_lengths() or (config.network.num_bits,)
    directions = of_length(num_bits)
    results = {
        "summary": {
            name: {"map": each["map"], "map_interval": each["map_interval"]}
            for name, each in directions.items()
        },
        "dataset": pairs.name,
        "role": role,
        "relevance": "shares at least one label" if pairs.label_names else "its own item",
        "counts": {name: len(pairs.indices(name)) for name in ("train", "database", role)},
        "best_epoch": finished["best_epoch"],
        "num_bits": num_bits,
        "directions": directions,
        "shorter": {str(length): of_length(length) for length in shorter},
    }
    unseen = run.read_json("unseen")
    if unseen:
        columns = [pairs.label_names.index(name) for name in unseen]
        asking = np.flatnonzero(pairs.labels[rows[role]][:, columns].any(axis=1))
        results["unseen"] = {"kinds": unseen, "directions": search(codes, asking)}
    suffix = "" if role == "query" else f"_{role}"
    write_results(run.path / f"results{suffix}.json", results)
    if not pairs.label_names:
        return results
    plots = run.path / f"plots{suffix}"
    plots.mkdir(exist_ok=True)
    plot_precision_recall(directions, plots / "precision_recall.png")
    plot_precision_at_k(directions, plots / "precision_at_k.png")
    plot_precision_by_radius(directions, plots / "precision_by_radius.png")
    return results
