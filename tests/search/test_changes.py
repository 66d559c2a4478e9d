"""Adding, deleting and compacting, also while somebody else opens the index."""

import multiprocessing
import shutil
import threading

import numpy as np
import pytest

from udsph_tf.search import (
    Item,
    add_items,
    compact_index,
    delete_items,
    open_index,
    write_index,
)
from udsph_tf.search import store as store_module


def content(*names, fill=None):
    """Items of these names; the code of the item `n` is n in every byte."""
    numbers = [int(name) if fill is None else fill for name in names]
    codes = np.repeat(np.array(numbers, np.uint8)[:, None], 2, axis=1)
    return {
        "image_packed": codes,
        "text_packed": codes,
        "items": [Item(name, f"item {name}", f"{name}.jpg") for name in names],
        "model_checksum": "model-a",
    }


@pytest.fixture
def folder(tmp_path):
    write_index(tmp_path / "index", **content("0", "1", "2", "3"))
    return tmp_path / "index"


def found(index, number=0, k=100):
    (hits,) = index.search(np.full((1, 2), number, np.uint8), "image", k)
    return [hit.item.id for hit in hits]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_added_items_are_found_behind_the_old_ones(folder):
    assert add_items(folder, **content("4", "5")) == 0
    index = open_index(folder)
    assert len(index) == 6
    # Distances of 0, 1, 2, 4 from 0 in both bytes: 0, 2, 2, 2; ties in the order of adding.
    assert found(index) == ["0", "1", "2", "4", "3", "5"]


def test_replaced_item_has_its_new_code_alone(folder):
    assert add_items(folder, **content("1", "9", fill=255), replace=True) == 1
    index = open_index(folder)
    assert len(index) == 5
    assert found(index, 255, k=2) == ["1", "9"]
    assert sorted(found(index)) == ["0", "1", "2", "3", "9"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_checksum": "model-b"}, "another model"),
        ({"image_packed": np.zeros((1, 4), np.uint8)}, "one shape"),
        ({"fused_packed": np.zeros((1, 2), np.uint8)}, "The index has image and text codes"),
        ({"items": [Item("3", "", "")]}, "in the index already, such as '3'"),
        ({"items": []}, "one item for every code"),
        ({"items": [Item("8", "", ""), Item("9", "", "")]}, "one item for every code"),
    ],
)
def test_unfit_addition_raises_and_leaves_the_index(folder, change, message):
    before = found(open_index(folder))
    with pytest.raises(ValueError, match=message):
        add_items(folder, **{**content("7"), **change})
    assert found(open_index(folder)) == before


def test_codes_of_another_length_are_not_added(folder):
    codes = np.zeros((1, 4), np.uint8)
    with pytest.raises(ValueError, match="index's 16 bits"):
        add_items(folder, **{**content("7"), "image_packed": codes, "text_packed": codes})


def test_deleted_items_are_not_found_and_their_ids_are_free(folder):
    assert delete_items(folder, ["1", "3", "1"]) == 2
    assert found(open_index(folder)) == ["0", "2"]
    add_items(folder, **content("1"))
    assert found(open_index(folder)) == ["0", "2", "1"]


def test_deletion_of_unknown_ids_deletes_nothing_unless_told_so(folder):
    with pytest.raises(ValueError, match="1 ids are not in the index, such as '7'"):
        delete_items(folder, ["0", "7"])
    assert len(open_index(folder)) == 4
    assert delete_items(folder, ["0", "7"], missing_ok=True) == 1
    assert len(open_index(folder)) == 3


def test_compacted_index_finds_the_same_in_one_shard(folder):
    add_items(folder, **content("4", "5"))
    delete_items(folder, ["0", "4"])
    before = found(open_index(folder))
    compact_index(folder)
    index = open_index(folder)
    assert found(index) == before == ["1", "2", "3", "5"]
    assert len(index.catalogue) == 4
    assert len(list(folder.glob("shard-*"))) == 1


def test_compacted_index_has_shards_of_the_size_asked_for(folder):
    compact_index(folder, shard_items=3)
    assert len(list(folder.glob("shard-*"))) == 2
    assert found(open_index(folder)) == ["0", "1", "2", "3"]
    with pytest.raises(ValueError, match="`shard_items` must be at least 1"):
        compact_index(folder, shard_items=0)


def test_change_removes_what_no_manifest_names(folder):
    clean = len(files(folder))
    shutil.copytree(next(folder.glob("shard-*")), folder / "shard-ofakilled1")
    delete_items(folder, ["0"])
    delete_items(folder, ["1"])
    assert len(files(folder)) == clean + 1  # the one list of what was deleted
    assert found(open_index(folder)) == ["2", "3"]


@pytest.mark.parametrize("change", ["delete", "compact", "replace"])
def test_index_changed_while_it_is_opened_is_opened_as_it_is_then(folder, monkeypatch, change):
    delete_items(folder, ["0"])
    changes = {
        "delete": lambda: delete_items(folder, ["1"]),
        "compact": lambda: compact_index(folder),
        "replace": lambda: write_index(folder, **content("5", "6"), overwrite=True),
    }
    read_manifest, seen = store_module.read_manifest, []

    def interrupted(path):
        manifest = read_manifest(path)
        seen.append(manifest)
        if len(seen) == 1:
            changes[change]()  # reads the manifest too, so that it is done once
        return manifest

    monkeypatch.setattr(store_module, "read_manifest", interrupted)
    expected = {"delete": ["2", "3"], "compact": ["1", "2", "3"], "replace": ["6", "5"]}
    opened = open_index(folder)
    assert len(seen) > 1
    assert sorted(found(opened)) == sorted(expected[change])


def test_index_opened_on_and_on_while_it_changes_never_fails(folder):
    done, sizes, errors = threading.Event(), set(), []

    def reader():
        while not done.is_set():
            try:
                sizes.add(len(open_index(folder)))
            except (ValueError, OSError) as error:
                errors.append(error)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(4, 16):
        add_items(folder, **content(str(number)))
        delete_items(folder, [str(number - 4)])
        if number % 5 == 0:
            compact_index(folder)
    done.set()
    for thread in threads:
        thread.join(10)
    assert errors == []
    assert sizes <= {4, 5}


def add_some(folder, first):
    for number in range(first, first + 5):
        add_items(folder, **content(str(number)))
        compact_index(folder)


def test_two_processes_that_add_and_compact_lose_nothing(folder):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_some, args=(folder, first)) for first in (10, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    expected = ["0", "1", "2", "3", *(str(first + n) for first in (10, 20) for n in range(5))]
    assert sorted(found(open_index(folder))) == sorted(expected)


def test_damaged_index_that_was_changed_before_still_raises(folder):
    delete_items(folder, ["0"])
    (next(folder.glob("shard-*")) / "items.jsonl").write_text("")
    with pytest.raises(ValueError, match="items.jsonl is not the file that was written"):
        open_index(folder)
