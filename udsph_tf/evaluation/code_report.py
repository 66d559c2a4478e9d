"""What the codes of a collection look like, and whether those of new items look like them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from udsph_tf.codes import unpack
from udsph_tf.evaluation.code_statistics import bit_balance, bit_correlation, code_collisions
from udsph_tf.evaluation.energy_test import energy_test

__all__ = ["format_code_report", "report_codes"]

_ITEMS = 50_000
_PAIRS = 500_000


def report_codes(
    codes: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray] | None = None,
    *,
    false_alarm_rate: float = 0.01,
    seed: int = 0,
) -> dict[str, Any]:
    """Balance of the bits, collisions and distances of codes, and the drift of new items' codes.

    Balance and correlation are of at most 50,000 items, distances of 500,000 pairs, both drawn at
    random; collisions are counted over all items.

    Drift is tested once a modality (`energy_test`), each time at `false_alarm_rate` divided by the
    number of modalities (Bonferroni): where nothing has changed, a report says that anything
    drifted with at most that probability.

    Args:
        codes: (n, num_bits / 8) uint8 by modality: "image", "text", and perhaps "fused".
        new: codes of new items of the same modalities; None leaves drift out.
        false_alarm_rate: between 0.003 and 0.5. (Below, 999 permutations say nothing.)
        seed: of what is drawn.

    Returns:
        What `json.dumps` takes: by modality "bits", "collisions", "distances" and, with new codes,
        "drift"; and "own", the distances between the picture and the words of one item.

    Raises:
        ValueError: there are no codes, the modalities differ, or the rate is out of range.

    Example:
        Three items, of which two share a code.

        >>> report = report_codes({"image": np.array([[128], [128], [0]], np.uint8)})
        >>> report["modalities"]["image"]["collisions"]["distinct"]
        2
    """
    if not codes or min(map(len, codes.values())) == 0:
        raise ValueError("`codes` must hold at least one code a modality")
    if new is not None and set(new) != set(codes):
        raise ValueError(
            "`new` must have the modalities of `codes`. "
            f"Received: {', '.join(new)} and {', '.join(codes)}"
        )
    if not 0.003 <= false_alarm_rate <= 0.5:
        raise ValueError(
            f"`false_alarm_rate` must be from 0.003 to 0.5. Received: {false_alarm_rate}"
        )
    random = np.random.default_rng(seed)
    threshold = false_alarm_rate / len(codes)
    report: dict[str, Any] = {"num_bits": 8 * next(iter(codes.values())).shape[1]}
    report["items"] = len(next(iter(codes.values())))
    report["modalities"] = {
        modality: {
            "bits": _bits(each, random),
            "collisions": code_collisions(each),
            "distances": _histogram(*_pairs(each, random)),
        }
        for modality, each in codes.items()
    }
    if {"image", "text"} <= set(codes):
        report["own"] = _histogram(codes["image"], codes["text"])
    if new is not None:
        report["new_items"] = len(next(iter(new.values())))
        report["false_alarm_rate"] = false_alarm_rate
        for modality, each in report["modalities"].items():
            each["drift"] = _drift(codes[modality], new[modality], threshold, random)
        report["drifted"] = any(each["drift"]["drifted"] for each in report["modalities"].values())
        if "own" in report:
            report["new_own"] = _histogram(new["image"], new["text"])
    return report


def format_code_report(report: Mapping[str, Any]) -> str:
    """A report as an aligned table, a column a modality.

    Example:
        >>> codes = np.array([[128], [128], [0]], np.uint8)
        >>> format_code_report(report_codes({"image": codes})).splitlines()[0]
        '3 items, 8 bits'
    """
    modalities = report["modalities"]
    rows = [("", list(modalities))]

    def add(name, show):
        rows.append((name, [show(each) for each in modalities.values()]))

    add("bit balance (0 best, 1 worst)", lambda m: f"{m['bits']['balance']:.3f}")
    add("bits equal for all items", lambda m: str(len(m["bits"]["constant"])))
    add("correlation of bits", lambda m: f"{m['bits']['correlation']:.3f}")
    add("different codes", lambda m: f"{m['collisions']['distinct']:,}")
    add("items that share their code", lambda m: f"{m['collisions']['shared']:.1%}")
    add("most items of one code", lambda m: f"{m['collisions']['largest']:,}")
    add("chance that two items collide", lambda m: f"{m['collisions']['chance']:.2e}")
    add("distance of two items, mean", lambda m: f"{m['distances']['mean']:.1f}")
    add("  its standard deviation", lambda m: f"{m['distances']['deviation']:.1f}")
    if "drifted" in report:
        add("new items: largest shift of a bit", lambda m: f"{m['drift']['largest_shift']:+.3f}")
        add("  of bit", lambda m: str(m["drift"]["bit"]))
        add("  difference of distributions", lambda m: f"{m['drift']['coefficient']:.3f}")
        add("  p-value", lambda m: f"{m['drift']['p_value']:.3f}")
        add("  drifted", lambda m: "YES" if m["drift"]["drifted"] else "no")
    left = max(len(name) for name, _ in rows)
    wide = max(len(cell) for _, cells in rows for cell in cells)
    lines = [f"{report['items']:,} items, {report['num_bits']} bits"]
    lines += [f"{name:{left}}" + "".join(f"  {c:>{wide}}" for c in cells) for name, cells in rows]
    for key, whose in (("own", "an item"), ("new_own", "a new item")):
        if key in report:
            lines.append(
                f"picture to words of {whose}: {report[key]['mean']:.1f} bits on average, "
                f"nine of ten within {report[key]['nine_of_ten']}"
            )
    if "drifted" in report:
        said = "drifted" if report["drifted"] else "no drift was found"
        lines.append(
            f"{report['new_items']:,} new items: {said} (a false alarm in "
            f"{report['false_alarm_rate']:.1%} of reports at most)"
        )
    return "\n".join(lines)


def _bits(packed: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    if len(packed) > _ITEMS:
        packed = packed[random.choice(len(packed), _ITEMS, replace=False)]
    codes = unpack(packed)
    ones = (codes > 0).mean(axis=0)
    return {
        "balance": bit_balance(codes),
        "correlation": bit_correlation(codes),
        "constant": np.flatnonzero((ones == 0) | (ones == 1)).tolist(),
        "ones": ones.round(4).tolist(),
    }


def _pairs(packed: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Codes of random pairs of different items; of one item no pair."""
    number = len(packed)
    pairs = _PAIRS if number > 1 else 0
    first = random.integers(0, number, pairs)
    second = (first + random.integers(1, max(number, 2), pairs)) % number
    return packed[first], packed[second]


def _histogram(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """How often each Hamming distance occurs between codes of equal place."""
    num_bits = 8 * first.shape[1]
    distances = np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
    found = len(distances) > 0
    return {
        "counts": np.bincount(distances, minlength=num_bits + 1).tolist(),
        "mean": float(distances.mean()) if found else 0.0,
        "deviation": float(distances.std()) if found else 0.0,
        "nine_of_ten": int(np.quantile(distances, 0.9, method="higher")) if found else 0,
    }


def _drift(
    old: np.ndarray, new: np.ndarray, threshold: float, random: np.random.Generator
) -> dict[str, Any]:
    test = energy_test(old, new, seed=int(random.integers(2**31)))
    ones = [np.array(_bits(each, random)["ones"]) for each in (old, new)]
    shift = ones[1] - ones[0]
    bit = int(np.abs(shift).argmax())
    return {
        "p_value": test.p_value,
        "threshold": threshold,
        "drifted": test.p_value <= threshold,
        "coefficient": test.coefficient,
        "bit": bit,
        "largest_shift": float(shift[bit]),
        "ones": ones[1].tolist(),
        "distances": _histogram(*_pairs(new, random)),
    }
