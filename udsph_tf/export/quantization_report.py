"""What each variant of an encoder costs: bits, average precision, bytes, time."""

import time
from pathlib import Path

import numpy as np

from udsph_tf.codes import binarize, pack
from udsph_tf.evaluation import mean_average_precision
from udsph_tf.export.items import Items
from udsph_tf.export.verification import compare_codes, open_tflite

__all__ = ["latencies", "quantization_report", "report_table"]

_ROUNDS = 5


def quantization_report(
    folder: Path,
    codes: dict[str, dict[str, np.ndarray]],
    logits: dict[str, np.ndarray],
    items: dict[str, Items],
    labels: np.ndarray,
) -> dict:
    """Every TFLite variant of both encoders.

    Args:
        folder: holds the files.
        codes: by modality and form, (n, num_bits / 8) packed codes of n held-back items.
        logits: by modality, (n, num_bits) of the Keras model.
        items: by modality, the items.
        labels: (n, num_labels) of the items; without labels every MAP is None.

    Returns:
        By modality and variant: `agreement`, `share_of_items_changed`, `map_as_query` (the
        variant's codes search the Keras model's codes of the other modality) and
        `map_as_database` (the other way round) beside `..._float`, `bytes`, and `milliseconds`,
        the median time of one item with one thread.
    """
    plain = {modality: pack(binarize(each)) for modality, each in logits.items()}
    report: dict[str, dict] = {}
    for modality, other in (("image", "text"), ("text", "image")):
        asked = _map(plain[modality], plain[other], labels)
        found = _map(plain[other], plain[modality], labels)
        paths = sorted(folder.glob(f"{modality}.*.tflite"))
        times = latencies(paths, items[modality].rows)
        report[modality] = {}
        for path in paths:
            form = path.name.removeprefix(f"{modality}.")
            packed = codes[modality][form]
            compared = compare_codes(logits[modality], packed)
            report[modality][form.removesuffix(".tflite")] = {
                "agreement": compared["agreement"],
                "share_of_items_changed": compared["items_changed"] / compared["items"],
                "map_as_query": _map(packed, plain[other], labels),
                "map_as_query_float": asked,
                "map_as_database": _map(plain[other], packed, labels),
                "map_as_database_float": found,
                "bytes": path.stat().st_size,
                "milliseconds": times[path],
            }
    return {"items": len(labels), "variants": report}


def _map(asked: np.ndarray, found: np.ndarray, labels: np.ndarray) -> float | None:
    if not labels.shape[1]:
        return None
    return mean_average_precision(asked, labels, found, labels)


def latencies(paths: list[Path], rows: np.ndarray, items: int = 20) -> dict[Path, float]:
    """Median milliseconds of one item with one thread; the files take turns."""
    models = {path: open_tflite(path, batch_size=1, workers=1) for path in paths}
    seconds: dict[Path, list[float]] = {path: [] for path in paths}
    rows = rows[:items]
    for each in range(_ROUNDS + 1):
        for path, model in models.items():
            for row in range(len(rows)):
                start = time.perf_counter()
                model.run(rows[row : row + 1])
                if each:  # the first round warms up
                    seconds[path].append(time.perf_counter() - start)
    return {path: 1000 * float(np.median(every)) for path, every in seconds.items()}


def report_table(report: dict) -> str:
    """The report as a table in Markdown."""
    lines = [
        "| encoder | variant | equal bits | items changed | MAP as query | MAP as database "
        "| MB | ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for modality, variants in report["variants"].items():
        for variant, each in variants.items():
            asked, found = (
                "-"
                if each[name] is None
                else f"{each[name]:.4f} ({each[name] - each[name + '_float']:+.4f})"
                for name in ("map_as_query", "map_as_database")
            )
            lines.append(
                f"| {modality} | {variant} | {each['agreement']:.3%} | "
                f"{each['share_of_items_changed']:.2%} | {asked} | {found} | "
                f"{each['bytes'] / 1e6:.2f} | {each['milliseconds']:.2f} |"
            )
    return "\n".join(lines)
