import hashlib
import json
import re
import shutil

import pytest

from udsph_tf.artefacts import MANIFEST, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "export"
    (folder / "image" / "1").mkdir(parents=True)
    (folder / "image" / "1" / "saved_model.pb").write_bytes(b"graph")
    (folder / "image.float32.tflite").write_bytes(b"image weights")
    (folder / "text.float32.tflite").write_bytes(b"text weights")
    write_manifest(folder, {"num_bits": 16})
    return folder


def change(folder, **entries):
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, **entries}))


def test_write_manifest_of_nested_files_holds_a_checksum_of_each(folder):
    manifest = read_manifest(folder)
    assert manifest["num_bits"] == 16
    assert set(manifest["files"]) == {
        "image.float32.tflite",
        "text.float32.tflite",
        "image/1/saved_model.pb",
    }
    assert manifest["files"]["image/1/saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()


def test_model_checksum_changes_with_either_encoder_and_nothing_else(folder):
    first = read_manifest(folder)["model_checksum"]
    (folder / "README").write_text("more")
    write_manifest(folder, {"num_bits": 16, "metrics": {"map": 0.5}})
    assert read_manifest(folder)["model_checksum"] == first
    for modality in ("image", "text"):
        (folder / f"{modality}.float32.tflite").write_bytes(b"other weights")
        write_manifest(folder, {"num_bits": 16})
        assert read_manifest(folder)["model_checksum"] != first


def test_read_manifest_of_no_export_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent holds no export; `udsph export --out`"):
        read_manifest(tmp_path / "absent")


@pytest.mark.parametrize(
    "content",
    [b"", b'{"format": 1, "fi', b"\xff\xfe", b"[1]", b"null", b'{"format": 1}', b'{"files": {}}'],
)
def test_read_manifest_that_is_damaged_says_export_again(folder, content):
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest.json is damaged: .*Export again"):
        read_manifest(folder)


def test_read_manifest_whose_files_are_a_number_is_damaged(folder):
    change(folder, files=3)
    with pytest.raises(ValueError, match="manifest.json is damaged"):
        read_manifest(folder, ("image.float32.tflite",))


def test_read_manifest_of_another_format_names_both(folder):
    change(folder, format=2)
    with pytest.raises(ValueError, match="has format 2; this version reads 1. Export again"):
        read_manifest(folder)


def test_read_manifest_of_a_changed_file_names_it(folder):
    (folder / "text.float32.tflite").write_bytes(b"text weightz")
    expected = re.escape(str(folder / "text.float32.tflite")) + " has been changed"
    with pytest.raises(ValueError, match=expected):
        read_manifest(folder, ("image.float32.tflite", "text.float32.tflite"))
    # A file that is not about to be used is not read.
    read_manifest(folder, ("image.float32.tflite",))


def test_read_manifest_of_a_missing_file_names_it(folder):
    (folder / "image.float32.tflite").unlink()
    with pytest.raises(ValueError, match=r"image.float32.tflite is missing. Export again"):
        read_manifest(folder, ("image.float32.tflite",))


def test_read_manifest_of_a_form_never_exported_names_it(folder):
    with pytest.raises(ValueError, match=r"exported without image.int8.tflite"):
        read_manifest(folder, ("image.int8.tflite",))


def test_read_manifest_of_a_copied_export_needs_no_path_of_the_old_one(tiny_export, tmp_path):
    copy = shutil.copytree(tiny_export, tmp_path / "copy")
    manifest = read_manifest(copy, ("image.float32.tflite", "text/1/saved_model.pb"))
    assert manifest == read_manifest(tiny_export)
    assert str(tiny_export) not in (copy / MANIFEST).read_text()
