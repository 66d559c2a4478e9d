import os
from pathlib import Path

import pytest

from udsph_tf import files
from udsph_tf.files import write_bytes


def test_write_bytes_existing_file_is_replaced(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old and longer")
    write_bytes(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_write_bytes_failure_keeps_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def broken(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_write_bytes_replace_sees_a_whole_file_in_the_same_folder(tmp_path, monkeypatch):
    seen = []
    replace = os.replace

    def recording(source, target):
        seen.append((Path(source).parent, Path(source).read_bytes(), Path(target)))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", recording)
    write_bytes(tmp_path / "a.bin", b"whole")
    assert seen == [(tmp_path, b"whole", tmp_path / "a.bin")]


def test_write_bytes_missing_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "missing" / "a.bin", b"")
