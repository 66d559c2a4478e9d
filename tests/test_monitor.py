"""`udsph monitor` over made index folders."""

import argparse
import json

import numpy as np
import pytest

from udsph_tf.commands import monitor
from udsph_tf.search import Item, delete_items, write_index


def make(folder, seed, shift=0, model="model-a", number=200):
    codes = np.random.default_rng(seed).integers(0, 256, (number, 2), dtype=np.uint8)
    write_index(
        folder,
        image_packed=codes | np.uint8(shift),
        text_packed=codes,
        items=[Item(str(place), "", "") for place in range(number)],
        model_checksum=model,
    )
    return str(folder)


def run(capsys, *arguments):
    parser = argparse.ArgumentParser()
    monitor.add(parser.add_subparsers())
    args = parser.parse_args(["monitor", *arguments])
    args.command(args)
    return capsys.readouterr().out


def test_monitor_of_an_index_prints_a_table_and_leaves_out_what_was_deleted(tmp_path, capsys):
    folder = make(tmp_path / "index", seed=0)
    delete_items(folder, ["3", "4"])
    out = run(capsys, "--index", folder)
    assert out.startswith(f"{folder}: 198 items, 16 bits\n")
    assert "items that share their code" in out
    assert "drift" not in out


@pytest.mark.parametrize(("shift", "drifted"), [(0, False), (1, True)])
def test_monitor_of_new_items_says_whether_they_drift(tmp_path, capsys, shift, drifted):
    old, new = make(tmp_path / "old", 0), make(tmp_path / "new", 3, shift)
    plots = tmp_path / "plots"
    out = run(capsys, "--index", old, "--new", new, "--plots", str(plots), "--json")
    report = json.loads(out)
    assert report["drifted"] is drifted
    assert report["modalities"]["image"]["drift"]["drifted"] is drifted
    assert report["modalities"]["text"]["drift"]["drifted"] is False
    assert sorted(each.name for each in plots.iterdir()) == ["bits.png", "distances.png"]


def test_monitor_of_new_items_of_another_model_raises(tmp_path, capsys):
    old, new = make(tmp_path / "old", 0), make(tmp_path / "new", 1, model="model-b")
    with pytest.raises(ValueError, match="built by another model"):
        run(capsys, "--index", old, "--new", new)
