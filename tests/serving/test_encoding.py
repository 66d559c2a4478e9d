import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from udsph_tf.data import Pairs
from udsph_tf.data.images import read_image
from udsph_tf.search import MilvusIndex, open_index
from udsph_tf.serving import (
    CodeFiles,
    TextEncoder,
    encode_pairs,
    index_codes,
    index_codes_in_milvus,
    index_pairs,
)


@pytest.fixture(scope="module")
def some_pairs(tiny_pairs, tmp_path_factory):
    """All 84 pairs, of which two have a picture that cannot be used."""
    cut = tmp_path_factory.mktemp("pictures") / "cut.png"
    cut.write_bytes(read_image(tiny_pairs.images[1])[:60])
    images = tiny_pairs.images.copy()
    images[12], images[40] = str(cut.with_name("gone.png")), str(cut)
    return dataclasses.replace(tiny_pairs, images=images)


@pytest.fixture(scope="module")
def codes(some_pairs, tiny_export, tmp_path_factory):
    """Folder of the encoded pairs in three parts. Only read it."""
    folder = tmp_path_factory.mktemp("codes") / "drawn"
    assert encode_pairs(some_pairs, tiny_export, folder, part_items=30)[0] == 82
    return folder


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_encode_pairs_gives_every_usable_item_its_codes_in_order(codes, some_pairs, tiny_export):
    files = CodeFiles(codes)
    kept = np.delete(np.arange(84), [12, 40])
    assert (len(files), files.num_bits, files.dataset) == (82, 16, "manifest")
    items = list(files.items())
    assert [item.id for item in items] == some_pairs.ids[kept].tolist()
    assert [item.image for item in items] == some_pairs.images[kept].tolist()
    assert items[0].metadata == {"colour": ("red",), "shape": ("circle",)}
    texts = TextEncoder(tiny_export)
    assert files.model_checksum == texts.model_checksum
    np.testing.assert_array_equal(files.codes()["text"], texts.encode(some_pairs.texts[kept]))


def test_encode_pairs_writes_parts_that_describe_themselves(codes, some_pairs):
    names = [f"part-0000{number}-of-00003.parquet" for number in range(3)]
    assert set(contents(codes)) == {*names, "bad_items.jsonl", "encoding.json"}
    part = pq.read_table(codes / names[1])
    assert part.num_rows == 29  # of 30, one is bad
    assert str(part.schema.field("fused_code").type) == "fixed_size_binary[2]"
    said = part.schema.metadata
    assert said[b"udsph.num_bits"] == b"16"
    assert said[b"udsph.bit_order"].startswith(b"big: the first bit is the most significant")
    (bad,) = json.loads(said[b"udsph.bad_items"])
    assert bad["id"] == "040"


def test_encode_pairs_lists_bad_items_with_reasons(codes, some_pairs):
    lines = (codes / "bad_items.jsonl").read_text().splitlines()
    first, second = (json.loads(line) for line in lines)
    source = some_pairs.images[12]
    assert first == {"id": "012", "source": source, "reason": "the file does not exist"}
    assert (second["id"], "cannot be decoded" in second["reason"]) == ("040", True)


def test_encode_pairs_goes_on_where_it_was(codes, some_pairs, tiny_export, tmp_path):
    kept = "part-00001-of-00003.parquet"
    (tmp_path / kept).write_bytes((codes / kept).read_bytes())
    (tmp_path / ".0123.tmp.part-00002-of-00003.parquet").write_bytes(b"PAR1 half")
    before = (tmp_path / kept).stat()
    number, problems = encode_pairs(some_pairs, tiny_export, tmp_path, part_items=30)
    assert (number, [each.id for each in problems]) == (82, ["012", "040"])
    assert contents(tmp_path) == contents(codes)
    assert (tmp_path / kept).stat().st_mtime_ns == before.st_mtime_ns


def test_encode_pairs_by_beam_writes_the_same_files(codes, some_pairs, tiny_export, tmp_path):
    out = tmp_path / "codes"
    encode_pairs(some_pairs, tiny_export, out, part_items=30, runner="DirectRunner")
    assert contents(out) == contents(codes)


def test_encode_pairs_by_the_saved_models_gives_the_same_codes(
    codes, some_pairs, tiny_export, tmp_path
):
    options = {"part_items": 30, "runner": "DirectRunner"}
    encode_pairs(some_pairs, tiny_export, tmp_path, variant="saved_model", **options)
    ours, theirs = CodeFiles(tmp_path), CodeFiles(codes)
    assert [vars(each) for each in ours.problems] == [vars(each) for each in theirs.problems]
    for modality, packed in theirs.codes().items():
        np.testing.assert_array_equal(ours.codes()[modality], packed)
    with pytest.raises(ValueError, match=r"udsph\.variant differs"):
        encode_pairs(some_pairs, tiny_export, tmp_path, **options)


def test_encode_pairs_with_an_unknown_runner_is_an_error(some_pairs, tiny_export, tmp_path):
    with pytest.raises(ValueError, match="FlnkRunner"):
        encode_pairs(some_pairs, tiny_export, tmp_path, runner="FlnkRunner")


def test_encode_pairs_keeps_nothing_of_other_items_or_parts(
    codes, some_pairs, tiny_export, tmp_path
):
    for name in contents(codes):
        (tmp_path / name).write_bytes((codes / name).read_bytes())
    with pytest.raises(ValueError, match="other items or by another model .udsph.items_sha256"):
        texts = np.where(some_pairs.ids == "005", "a pink circle", some_pairs.texts)
        others = dataclasses.replace(some_pairs, texts=texts)
        encode_pairs(others, tiny_export, tmp_path, part_items=30)
    with pytest.raises(ValueError, match="parts of another encoding, such as part-00000-of-00003"):
        encode_pairs(some_pairs, tiny_export, tmp_path, part_items=84)
    assert contents(tmp_path) == contents(codes)
    few = some_pairs.take([1, 2])
    assert encode_pairs(few, tiny_export, tmp_path, part_items=84, overwrite=True) == (2, [])
    assert len(CodeFiles(tmp_path)) == 2


def test_encode_pairs_deletes_nothing_that_is_no_codes(some_pairs, tiny_export, tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match="no folder of codes: it holds 'notes.txt'"):
        encode_pairs(some_pairs, tiny_export, tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_encode_pairs_of_what_cannot_be_encoded_is_an_error(some_pairs, tiny_export, tmp_path):
    vectors = Pairs("wikipedia", ["1"], np.ones((1, 3)), ["a"], np.ones((1, 1)), ("x",))
    with pytest.raises(ValueError, match="`wikipedia` holds feature vectors"):
        encode_pairs(vectors, tiny_export, tmp_path)
    with pytest.raises(ValueError, match="There are no items"):
        encode_pairs(some_pairs.take([]), tiny_export, tmp_path)
    with pytest.raises(ValueError, match="`part_items` must be at least 1. Received: part_items=0"):
        encode_pairs(some_pairs, tiny_export, tmp_path, part_items=0)
    assert not list(tmp_path.iterdir())


def test_index_codes_equals_index_pairs(codes, some_pairs, tiny_export, tmp_path):
    assert index_codes(codes, tmp_path / "codes")[0] == 82
    index_pairs(some_pairs, tiny_export, tmp_path / "pairs")
    ours, theirs = open_index(tmp_path / "codes"), open_index(tmp_path / "pairs")
    assert ours.metadata == theirs.metadata
    assert ours.model_checksum == theirs.model_checksum
    assert list(ours.items) == list(theirs.items)
    every = np.arange(82)
    for modality in ("image", "text", "fused"):
        packed = ours.codes_of(modality).codes(every)
        np.testing.assert_array_equal(packed, theirs.codes_of(modality).codes(every))


def test_index_codes_in_milvus_is_searched_by_the_model_that_made_them(
    codes, tiny_export, tmp_path
):
    place = (str(tmp_path / "lite.db"), "drawn")
    assert index_codes_in_milvus(codes, *place)[0] == 82
    encoder = TextEncoder(tiny_export)
    index = MilvusIndex(*place, model_checksum=encoder.model_checksum)
    index_codes(codes, tmp_path / "index")
    theirs = open_index(tmp_path / "index")
    query = encoder.encode(["a red circle"])
    for filters in (None, {"colour": ["red"]}):
        (found,) = index.search(query, "image", 82, filters=filters)
        (expected,) = theirs.search(query, "image", 82, filters=filters)
        assert sorted((hit.distance, hit.item.id, hit.item.text) for hit in found) == sorted(
            (hit.distance, hit.item.id, hit.item.text) for hit in expected
        )
    index.close()


def test_index_codes_of_an_encoding_that_is_not_whole_is_an_error(codes, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no finished encoding"):
        index_codes(tmp_path, tmp_path / "index")
    for name in contents(codes):
        (tmp_path / name).write_bytes((codes / name).read_bytes())
    (tmp_path / "part-00001-of-00003.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="part-00001-of-00003.parquet is missing or not the file"):
        index_codes(tmp_path, tmp_path / "index")
    (tmp_path / "encoding.json").write_text("{}")
    with pytest.raises(ValueError, match="encoding.json is damaged"):
        index_codes(tmp_path, tmp_path / "index")


@pytest.mark.slow
@pytest.mark.parametrize("runner", [[], ["--runner", "DirectRunner"]])
def test_encode_command_killed_and_started_again_gives_identical_files(
    runner, drawn_collection, tiny_export, tmp_path
):
    command = [sys.executable, "-c", "from udsph_tf.cli import run; run()", "encode", *runner]
    command += ["--artefacts", str(tiny_export), "--dataset", "manifest", "--part-items", "1"]
    command += ["--root", str(drawn_collection)]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True)
    out = tmp_path / "killed"
    process = subprocess.Popen([*command, "--out", str(out)])
    while not (out.is_dir() and len(list(out.glob("part-*"))) >= 5):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    survivors = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 5 <= len(survivors) < 84
    subprocess.run([*command, "--out", str(out)], check=True)
    assert contents(out) == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors
