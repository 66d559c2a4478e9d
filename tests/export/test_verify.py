"""`udsph verify` on a copy of an export: damage of every kind is found and named."""

import argparse
import json
import shutil

import numpy as np
import pytest

from udsph_tf.artefacts import MANIFEST, ExportError, changed_files, read_manifest
from udsph_tf.commands.verify import run
from udsph_tf.export.golden import GOLDEN, check_golden
from udsph_tf.export.verification import EXACT_FORMS
from udsph_tf.export.verify import verify


@pytest.fixture(scope="module")
def copy(tiny_export, tmp_path_factory):
    """A copy that every test leaves as it was."""
    return shutil.copytree(tiny_export, tmp_path_factory.mktemp("verify") / "copy")


def flipped(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_a_flipped_byte_in_any_file_is_found_and_only_that_file_is_named(copy):
    draw = np.random.default_rng(3)
    names = list(read_manifest(copy)["files"])
    assert {"image.int8.tflite", "README.md", GOLDEN, "image/1/saved_model.pb"} <= set(names)
    for name in names:
        content = (copy / name).read_bytes()
        if not content:
            continue
        (copy / name).write_bytes(flipped(content, int(draw.integers(len(content)))))
        expected = {"files": [f"{copy / name} has been changed: its checksum is wrong"]}
        assert verify(copy) == expected
        (copy / name).write_bytes(content)
    assert changed_files(copy) == []


def test_a_flipped_byte_anywhere_in_the_manifest_is_found(copy):
    content = (copy / MANIFEST).read_bytes()
    try:
        for position in range(0, len(content), 97):
            (copy / MANIFEST).write_bytes(flipped(content, position))
            try:
                said = "".join(verify(copy)["files"])
            except ValueError as error:
                said = str(error)
            assert MANIFEST in said, position
    finally:
        (copy / MANIFEST).write_bytes(content)


def test_a_missing_and_a_foreign_file_are_named(copy):
    content = (copy / "vocabulary.txt").read_bytes()
    (copy / "vocabulary.txt").rename(copy / "words.txt")
    try:
        assert verify(copy)["files"] == [
            f"{copy / 'vocabulary.txt'} is missing",
            f"{copy / 'words.txt'} is no part of the export",
        ]
    finally:
        (copy / "words.txt").unlink()
        (copy / "vocabulary.txt").write_bytes(content)


def test_the_command_names_the_changed_file_in_its_error(copy):
    path = copy / "text.dynamic.tflite"
    content = path.read_bytes()
    path.write_bytes(flipped(content, len(content) // 2))
    try:
        with pytest.raises(ExportError, match="text.dynamic.tflite has been changed"):
            run(argparse.Namespace(artefacts=str(copy), json=False))
    finally:
        path.write_bytes(content)


def test_a_golden_bit_that_differs_fails_the_exact_forms_of_its_encoder(tiny_export, tmp_path):
    copy = shutil.copytree(tiny_export, tmp_path / "copy")
    golden = json.loads((copy / GOLDEN).read_text(encoding="utf-8"))
    logits = golden["text"][0]["logits"]
    largest = int(np.abs(logits).argmax())
    logits[largest] = -logits[largest]
    (copy / GOLDEN).write_text(json.dumps(golden), encoding="utf-8")
    assert check_golden(copy) == [
        f"text {form}: 1 of 48 bits of the golden items are not those expected"
        for form in EXACT_FORMS
    ]
