import json

import numpy as np
import pytest

from udsph_tf.evaluation import (
    code_collisions,
    format_code_report,
    plot_bits,
    plot_code_distances,
    report_codes,
)


def drawn(seed, number=300, num_bytes=2):
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (number, num_bytes), dtype=np.uint8)
    image[:, 0] |= 128  # the first bit is the same for all
    return {"image": image, "text": image ^ np.uint8(1)}


def test_code_collisions_without_any():
    assert code_collisions(np.array([[0, 1], [1, 0]], np.uint8)) == {
        "distinct": 2,
        "shared": 0.0,
        "largest": 1,
        "chance": 0.0,
    }
    assert code_collisions(np.array([[5]], np.uint8))["chance"] == 0
    with pytest.raises(ValueError, match="`packed` must be packed codes"):
        code_collisions(np.empty((0, 2), np.uint8))


def test_report_codes_hand_case_has_the_worked_out_numbers():
    codes = {"image": np.array([[0], [0], [255]], np.uint8), "text": np.array([[1]] * 3, np.uint8)}
    report = report_codes(codes)
    image = report["modalities"]["image"]
    assert image["bits"]["ones"] == [0.3333] * 8
    assert image["bits"]["balance"] == pytest.approx(1 / 3)
    assert image["collisions"] == {"distinct": 2, "shared": 2 / 3, "largest": 2, "chance": 1 / 3}
    # Of pairs of different items one in three is at distance 0, two at 8.
    assert image["distances"]["mean"] == pytest.approx(16 / 3, rel=0.01)
    assert set(np.flatnonzero(image["distances"]["counts"])) == {0, 8}
    assert report["modalities"]["text"]["bits"]["constant"] == list(range(8))
    # Pictures to their words: 1, 1 and 7 bits.
    assert report["own"]["counts"] == [0, 2, 0, 0, 0, 0, 0, 1, 0]
    assert report["own"]["mean"] == 3
    assert "drifted" not in report


def test_report_codes_of_one_item_has_no_pairs():
    report = report_codes({"image": np.array([[3]], np.uint8)})
    assert sum(report["modalities"]["image"]["distances"]["counts"]) == 0


def test_report_codes_of_the_same_kind_of_items_finds_no_drift():
    report = report_codes(drawn(0), drawn(1))
    assert report["drifted"] is False
    assert report["modalities"]["image"]["drift"]["threshold"] == 0.005


def test_report_codes_of_one_shifted_modality_names_modality_and_bit():
    new = drawn(1)
    new["text"][:, 1] |= 16  # bit 11
    report = report_codes(drawn(0), new)
    assert report["drifted"] is True
    drifted = {name: each["drift"]["drifted"] for name, each in report["modalities"].items()}
    assert drifted == {"image": False, "text": True}
    assert report["modalities"]["text"]["drift"]["bit"] == 11
    assert report["modalities"]["text"]["drift"]["largest_shift"] == pytest.approx(0.5, abs=0.1)
    table = format_code_report(report)
    (row,) = [line.split() for line in table.splitlines() if line.startswith("  drifted")]
    assert row == ["drifted", "no", "YES"]
    assert "300 new items: drifted (a false alarm in 1.0% of reports at most)" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "at least one code"),
        ((drawn(0), {"image": drawn(1)["image"]}), "modalities of `codes`"),
        ((drawn(0), drawn(1), 0.001), "`false_alarm_rate` must be from"),
    ],
)
def test_report_codes_of_unfit_arguments_raises(arguments, message):
    codes, *rest = arguments
    rate = {"false_alarm_rate": rest[1]} if len(rest) > 1 else {}
    with pytest.raises(ValueError, match=message):
        report_codes(codes, *rest[:1], **rate)


@pytest.mark.parametrize("new", [None, drawn(1)])
def test_report_codes_is_json_and_is_plotted(tmp_path, new):
    report = report_codes(drawn(0), new)
    assert json.loads(json.dumps(report)) == report
    plot_bits(report, tmp_path / "bits.png")
    plot_code_distances(report, tmp_path / "distances.png")
    for name in ("bits.png", "distances.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
