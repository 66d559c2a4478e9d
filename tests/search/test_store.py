import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from udsph_tf.codes import hamming_distance
from udsph_tf.search import Item, open_index, write_index
from udsph_tf.search import shard as shard_module
from udsph_tf.search import store as module

SHARD_FILES = [
    "facets.json",
    "facets.npy",
    "ids.npy",
    "image.faissbin",
    "items.jsonl",
    "text.faissbin",
]
FILES = ["index.json", *SHARD_FILES]
TEXTS = ["a red dress", 'with\nbreaks and "quotes"', "红色连衣裙 👗", "", "naïve café\u2028end"]


def make_content(seed=0, num_items=5):
    rng = np.random.default_rng(seed)
    items = [
        Item(f"id{number}", TEXTS[number % 5], f"photos/{number}.jpg")
        for number in range(num_items)
    ]
    return {
        "image_packed": rng.integers(0, 256, (num_items, 2)).astype(np.uint8),
        "text_packed": rng.integers(0, 256, (num_items, 2)).astype(np.uint8),
        "items": items,
        "model_checksum": "model-a",
        "metadata": {"dataset": "fashion", "sizes": (1, 2)},
    }


@pytest.fixture
def folder(tmp_path):
    write_index(tmp_path / "index", **make_content())
    return tmp_path / "index"


def names_in(path):
    """Names in a folder, but for the lock of an index."""
    return sorted(entry.name for entry in path.iterdir() if entry.name != ".index.lock")


def find(folder, name):
    (path,) = folder.rglob(name)
    return path


def test_index_folder_written_and_opened_holds_everything(folder):
    content = make_content()
    index = open_index(folder, model_checksum="model-a")
    manifest, shard = names_in(folder)
    assert manifest == "index.json"
    assert names_in(folder / shard) == SHARD_FILES
    assert names_in(folder.parent) == ["index"]
    assert list(index.items) == content["items"]
    assert (len(index), index.num_bits) == (5, 16)
    assert index.model_checksum == "model-a"
    assert index.metadata == {"dataset": "fashion", "sizes": [1, 2]}


@pytest.mark.parametrize("modality", ["image", "text"])
def test_index_folder_searched_uses_the_codes_of_the_modality(folder, modality):
    content = make_content()
    query = np.array([[12, 200], [0, 0]], dtype=np.uint8)
    distances = hamming_distance(query, content[f"{modality}_packed"])
    hits = open_index(folder).search(query, modality, k=3)
    for row, found in enumerate(hits):
        order = np.argsort(distances[row], kind="stable")[:3]
        assert [hit.item for hit in found] == [content["items"][place] for place in order]
        assert [hit.distance for hit in found] == distances[row][order].tolist()
        assert [hit.rank for hit in found] == [1, 2, 3]


def test_index_folder_empty_database_finds_nothing(tmp_path):
    write_index(tmp_path / "index", **make_content(num_items=0))
    index = open_index(tmp_path / "index")
    assert len(index) == 0
    assert index.search(np.zeros((2, 2), np.uint8), "text", k=10) == [[], []]


@pytest.mark.parametrize("name", FILES)
def test_open_index_flipped_byte_anywhere_raises_naming_the_file(folder, name):
    path = find(folder, name)
    content = path.read_bytes()
    places = np.unique(np.linspace(0, len(content) - 1, 40).astype(int))
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 0x01
        path.write_bytes(damaged)
        if name == "index.json" and bytes([content[place]]).isspace():
            continue
        with pytest.raises(ValueError, match=f"(?s){name}.*udsph index"):
            open_index(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_index_truncated_file_raises_naming_the_file(folder, name):
    path = find(folder, name)
    content = path.read_bytes()
    for size in (0, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=f"(?s){name}.*Copy the whole folder again"):
            open_index(folder)


@pytest.mark.parametrize("name", FILES)
def test_open_index_missing_file_raises_naming_the_file(folder, name):
    find(folder, name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing.*udsph index"):
        open_index(folder)


def test_open_index_files_of_two_indexes_mixed_raises(folder, tmp_path):
    write_index(tmp_path / "other", **make_content(seed=1))
    os.replace(find(tmp_path / "other", "text.faissbin"), find(folder, "text.faissbin"))
    with pytest.raises(ValueError, match=r"text\.faissbin is not the file that was written"):
        open_index(folder)


def test_open_index_missing_folder_raises(tmp_path):
    with pytest.raises(ValueError, match="no index at .*none.*Run `udsph index` first"):
        open_index(tmp_path / "none")


def test_open_index_other_model_raises_with_both_checksums(folder):
    with pytest.raises(ValueError, match="built by another model.*model-a.*model-b.*udsph index"):
        open_index(folder, model_checksum="model-b")


@pytest.mark.parametrize("version", [0, 1, "2", None])
def test_open_index_unknown_format_version_raises(folder, version):
    manifest = json.loads((folder / "index.json").read_text())
    manifest["format_version"] = version
    (folder / "index.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=f"format_version={version!r}.*reads 2"):
        open_index(folder)


def test_open_index_manifest_is_a_list_raises(folder):
    (folder / "index.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"index\.json has format_version=None"):
        open_index(folder)


def test_write_index_existing_folder_raises_and_leaves_it(folder):
    with pytest.raises(FileExistsError, match="exists.*pass overwrite"):
        write_index(folder, **make_content(seed=1))
    np.testing.assert_array_equal(
        open_index(folder).search(make_content()["image_packed"][:1], "image", 1)[0][0].distance, 0
    )


def test_write_index_overwrite_replaces_and_leaves_nothing_else(folder):
    write_index(folder, **make_content(seed=1, num_items=3), overwrite=True)
    assert len(open_index(folder)) == 3
    assert names_in(folder.parent) == ["index"]


def test_write_index_overwrite_of_an_open_index_keeps_the_open_one(folder):
    index = open_index(folder)
    write_index(folder, **make_content(seed=1, num_items=3), overwrite=True)
    assert list(index.items) == make_content()["items"]


def test_write_index_overwrite_refuses_what_is_not_an_index(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "note").write_text("a file")
    for name in ("thesis", "note"):
        with pytest.raises(FileExistsError, match="is not an index"):
            write_index(tmp_path / name, **make_content(), overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_write_index_overwrite_fills_an_empty_folder(tmp_path):
    (tmp_path / "index").mkdir()
    write_index(tmp_path / "index", **make_content(), overwrite=True)
    assert len(open_index(tmp_path / "index")) == 5


def test_write_index_new_parent_folders_are_made(tmp_path):
    write_index(tmp_path / "a" / "b" / "index", **make_content())
    assert len(open_index(tmp_path / "a" / "b" / "index")) == 5


def interrupted(items):
    yield items[0]
    raise KeyboardInterrupt


@pytest.mark.parametrize("overwrite", [False, True])
def test_write_index_interrupted_leaves_the_disk_as_it_was(tmp_path, overwrite):
    target = tmp_path / "index"
    if overwrite:
        write_index(target, **make_content())
    before = names_in(tmp_path)
    content = make_content(seed=1)
    content["items"] = interrupted(content["items"])
    with pytest.raises(KeyboardInterrupt):
        write_index(target, **content, overwrite=overwrite)
    assert names_in(tmp_path) == before
    if overwrite:
        assert list(open_index(target).items) == make_content()["items"]


def test_write_index_process_killed_leaves_no_index_and_can_be_run_again(tmp_path):
    program = """
import os, signal, sys
import numpy as np
from udsph_tf.search import write_index
codes = np.zeros((2, 1), np.uint8)
items = (os.kill(os.getpid(), signal.SIGKILL) for _ in range(2))
write_index(
    sys.argv[1], image_packed=codes, text_packed=codes, items=items, model_checksum="m"
)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "index"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "index").exists()
    write_index(tmp_path / "index", **make_content())
    assert len(open_index(tmp_path / "index")) == 5


def test_write_index_disk_full_leaves_nothing(tmp_path, monkeypatch):
    def no_space(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_module, "sha256", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_index(tmp_path / "index", **make_content())
    assert names_in(tmp_path) == []


def test_write_index_last_rename_fails_puts_the_old_index_back(folder, monkeypatch):
    rename = os.rename

    def refuse_the_new_one(source, target):
        if str(source).endswith(".tmp"):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", refuse_the_new_one)
    with pytest.raises(PermissionError):
        write_index(folder, **make_content(seed=1), overwrite=True)
    assert list(open_index(folder).items) == make_content()["items"]
    assert names_in(folder.parent) == ["index"]


def test_write_index_folder_made_meanwhile_by_another_is_kept(tmp_path):
    def items_while_another_writes():
        write_index(tmp_path / "index", **make_content())
        yield from make_content()["items"]

    content = make_content(seed=1)
    content["items"] = items_while_another_writes()
    with pytest.raises(FileExistsError):
        write_index(tmp_path / "index", **content)
    assert open_index(tmp_path / "index").search(make_content()["text_packed"], "text", 1)
    assert names_in(tmp_path) == ["index"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": [Item("1", "", "")]}, "Received: 1 items and 5 codes"),
        ({"text_packed": np.zeros((4, 2), np.uint8)}, "must have one shape"),
        ({"text_packed": np.zeros((5, 3), np.uint8)}, "must have one shape"),
        ({"image_packed": np.zeros((5, 2), np.int8)}, "`image_packed` must be packed codes"),
        ({"image_packed": np.zeros((5, 0), np.uint8)}, "`image_packed` must be packed codes"),
        ({"metadata": {"score": float("nan")}}, "`metadata` must be what JSON can hold"),
        ({"metadata": {"codes": np.zeros(2)}}, "`metadata` must be what JSON can hold"),
        ({"metadata": [1]}, "`metadata` must be a dict"),
        ({"model_checksum": None}, "`model_checksum` must be a string"),
    ],
)
def test_write_index_unfit_argument_raises_and_leaves_nothing(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_index(tmp_path / "index", **(make_content() | change))
    assert names_in(tmp_path) == []


def test_write_index_metadata_with_number_keys_opens_again(tmp_path):
    write_index(tmp_path / "index", **(make_content() | {"metadata": {9: "a", 10: "é"}}))
    assert open_index(tmp_path / "index").metadata == {"9": "a", "10": "é"}
