"""The tables of benchmarks/quality.py, of runs that are written down here."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def tables():
    sys.path.insert(0, str(BENCHMARKS))
    module = importlib.import_module("quality_tables")
    sys.path.remove(str(BENCHMARKS))
    return module


def direction(value):
    return {
        "map": value,
        "map_interval": [value - 0.1, value + 0.3],
        "by_label_group": {"kind": {"map": value / 2}},
        "ndcg_exponential_at_k": {"100": value + 0.1},
        "own_item_recall_at_k": {"1": 0.1, "10": 0.2},
    }


def directions(value):
    names = ("image_to_text", "text_to_image", "image_to_item", "text_to_item")
    return {name: direction(value + number / 100) for number, name in enumerate(names)}


def run(tables, variant, seed, value, history=(), curve=(0.1, 0.2)):
    results = {"num_bits": 64, "directions": directions(value), "shorter": {"16": directions(0.3)}}
    return {
        "variant": variant,
        "seed": seed,
        "configuration": {},
        "machine": "m, 2 cores",
        "versions": {"tensorflow": "2"},
        "rows": tables.run_rows(results, history, train_seconds=5.0),
        "validation_score_by_epoch": list(curve),
    }


def test_run_rows_are_one_for_each_length(tables):
    short, whole = run(tables, "a", 0, 0.5)["rows"]
    assert (short["num_bits"], whole["num_bits"]) == (16, 64)
    scores = whole["scores"]
    assert (scores["MAP I->T"], scores["MAP T->I"]) == (0.5, 0.51)
    assert scores["95% CI half-width I->T"] == pytest.approx(0.2)
    assert scores["kind MAP T->I"] == 0.255
    assert scores["NDCG@100 I->T"] == 0.6
    assert (scores["MAP I->item"], scores["MAP T->item"]) == (0.52, 0.53)
    assert scores["discriminator accuracy"] is None


def test_discriminator_accuracy_is_of_the_last_epochs_that_have_one(tables):
    names = ("image_discriminator_accuracy", "text_discriminator_accuracy")
    joint = [dict.fromkeys(names, value) for value in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)]
    history = [{"score": 0.1}, *joint, *({"score": 0.2} for _ in range(15))]
    (_, whole) = run(tables, "a", 0, 0.5, history)["rows"]
    assert whole["scores"]["discriminator accuracy"] == pytest.approx(0.7)


def test_equal_settings_takes_a_later_key_at_its_default(tables):
    stored = {"loss": {"a": 1.0}}
    defaults = {"loss": {"a": 5.0, "b": 0.0}}
    assert tables.equal_settings(stored, {"loss": {"a": 1.0, "b": 0.0}}, defaults)
    assert not tables.equal_settings(stored, {"loss": {"a": 1.0, "b": 0.3}}, defaults)
    assert not tables.equal_settings(stored, {"loss": {"a": 2.0, "b": 0.0}}, defaults)


def test_differences_are_paired_by_seed(tables):
    # Seeds differ by far more than variants do; the third seed has no partner.
    groups = {
        ("off", 64): {0: {"MAP": 0.5}, 1: {"MAP": 0.7}},
        ("on", 64): {1: {"MAP": 0.72}, 0: {"MAP": 0.51}, 2: {"MAP": 0.1}},
    }
    changes = tables.paired_changes(groups, ["MAP", "unheard of"], "off")
    half = 12.706 * np.std([0.01, 0.02], ddof=1) / np.sqrt(2)
    assert changes == {("on", 64): (2, [pytest.approx((0.015, half)), None])}


def test_write_tables_shows_every_variant_and_what_is_missing(tables, tmp_path):
    experiment = {
        "title": "A trial",
        "dataset": "fashion",
        "role": "query",
        "seeds": [0, 1, 2],
        "baseline": "off",
        "variants": {"off": {}, "on": {}, "not run yet": {}},
        "measures": ["MAP I->T", "MAP T->I", "unheard of", "unseen MAP I->T", "train s"],
    }
    runs = [
        run(tables, "on", 0, 0.6),
        run(tables, "off", 0, 0.5),
        run(tables, "off", 1, 0.7),
        run(tables, "on", 1, 0.9),
    ]
    runs[0]["rows"][1]["scores"]["unseen MAP I->T"] = 0.25
    tables.write_tables(tmp_path, "trial", "python x", experiment, runs)
    assert json.loads((tmp_path / "trial.json").read_text())["runs"] == runs
    text = (tmp_path / "trial.md").read_text()
    assert "| variant | bits | seeds | MAP I->T | MAP T->I | unseen MAP I->T | train s |" in text
    assert "| off | 64 | 2 | 0.600 (0.141) | 0.610 (0.141) | - | 5 |" in text
    assert "| on | 64 | 2 | +0.150 ± 0.635 | +0.150 ± 0.635 | - |" in text
    assert "not run yet" not in text
    for name in ("trial.png", "trial_differences.png"):
        assert f"]({name})" in text
        assert (tmp_path / name).stat().st_size > 1000


def test_write_tables_of_runs_without_validation_has_no_picture(tables, tmp_path):
    experiment = {
        "title": "A trial",
        "dataset": "wikipedia",
        "role": "query",
        "seeds": [0],
        "variants": {"a": {}},
        "measures": ["MAP I->T"],
    }
    tables.write_tables(tmp_path, "t", "python x", experiment, [run(tables, "a", 0, 0.5, curve=())])
    assert not (tmp_path / "t.png").exists()
    assert ".png" not in (tmp_path / "t.md").read_text()
