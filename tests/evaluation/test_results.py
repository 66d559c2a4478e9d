import json
import os

import numpy as np
import pytest

from udsph_tf.evaluation import evaluate_directions, format_table, write_results


@pytest.fixture(scope="module")
def results():
    generator = np.random.default_rng(2)
    query = generator.integers(0, 256, (12, 1), dtype=np.uint8)
    database = generator.integers(0, 256, (150, 1), dtype=np.uint8)
    labels = generator.integers(0, 2, (162, 3))
    return evaluate_directions(
        query, query, database, database, labels[:12], labels[12:], {"fine": [2]}
    )


def test_write_results_round_trip_gives_the_same_results(tmp_path, results):
    path = tmp_path / "results.json"
    write_results(path, results)
    assert json.loads(path.read_text(encoding="utf-8")) == results
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert os.listdir(tmp_path) == ["results.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan")])
def test_write_results_not_finite_raises_and_keeps_the_old_file(tmp_path, value):
    path = tmp_path / "results.json"
    write_results(path, {"map": 0.5})
    with pytest.raises(ValueError, match="`results` must hold finite numbers, and None where"):
        write_results(path, {"map": value})
    assert json.loads(path.read_text()) == {"map": 0.5}
    assert os.listdir(tmp_path) == ["results.json"]


def test_write_results_undefined_value_is_null(tmp_path):
    write_results(tmp_path / "r.json", {"map": None})
    assert (tmp_path / "r.json").read_text() == '{\n  "map": null\n}\n'


def test_format_table_two_directions_align_and_show_numbers(results):
    lines = format_table(results).splitlines()
    assert [line.split()[0] for line in lines] == [
        "direction",
        "image_to_text",
        "fine",
        "text_to_image",
        "fine",
    ]
    assert len({len(line) for line in lines}) == 1
    row = results["image_to_text"]
    low, high = row["map_interval"]
    for text in (
        f"  {row['map']:.4f}  [{low:.4f}, {high:.4f}]  ",
        f"  {row['precision_at_k']['10']:.4f}  {row['recall_at_k']['100']:.4f}  ",
        f"  {row['ndcg_exponential_at_k']['100']:.4f}",
    ):
        assert text in lines[1]


def test_format_table_cutoff_not_computed_shows_dash(results):
    lines = format_table(results, precision_k=7).splitlines()
    assert "P@7" in lines[0]
    assert lines[1].split()[-3] == "-"


def test_format_table_undefined_map_shows_dash():
    row = {"map": None, "map_interval": None, "map_stable": None}
    assert format_table({"image_to_text": row}).splitlines()[1].split()[1:] == 8 * ["-"]


@pytest.mark.parametrize("unfit", [{}, {"map": 0.5, "map_stable": 0.5}])
def test_format_table_not_directions_raises(unfit):
    with pytest.raises(ValueError, match="`results` must map names of directions"):
        format_table(unfit)
