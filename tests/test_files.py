import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from udsph_tf import files
from udsph_tf.files import load_array, new_folder, sha256, write_bytes, write_text


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


def test_write_text_is_utf8_without_translated_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()


def test_sha256_of_three_bytes_is_the_published_value(tmp_path):
    # FIPS 180-2, appendix B.1: the digest of "abc".
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def make_folder(path, content, **options):
    with new_folder(path, **options) as temporary:
        (temporary / "a.txt").write_text(content)


def test_new_folder_success_is_there_alone_and_parents_are_made(tmp_path):
    path = tmp_path / "deep" / "out"
    make_folder(path, "new")
    assert (path / "a.txt").read_text() == "new"
    assert os.listdir(path.parent) == ["out"]


def test_new_folder_is_not_visible_under_its_name_before_the_end(tmp_path):
    with new_folder(tmp_path / "out") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".out.")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_new_folder_exception_inside_leaves_nothing(tmp_path, interruption):
    with pytest.raises(interruption), new_folder(tmp_path / "out") as temporary:
        (temporary / "a.txt").write_text("half")
        raise interruption
    assert os.listdir(tmp_path) == []


def test_new_folder_existing_raises_and_keeps_the_old(tmp_path):
    make_folder(tmp_path / "out", "old")
    with pytest.raises(FileExistsError, match=r"out exists.*\(--overwrite\) to replace it"):
        make_folder(tmp_path / "out", "new")
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_overwrite_replaces_all_of_the_old(tmp_path):
    make_folder(tmp_path / "out", "old")
    (tmp_path / "out" / "only_old.txt").write_text("old")
    make_folder(tmp_path / "out", "new", overwrite=True)
    assert os.listdir(tmp_path / "out") == ["a.txt"]
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_overwrite_exception_inside_keeps_the_old(tmp_path):
    make_folder(tmp_path / "out", "old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out", overwrite=True):
        _ = 1 / 0
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_overwrite_failing_rename_puts_the_old_back(tmp_path, monkeypatch):
    make_folder(tmp_path / "out", "old")
    rename = os.rename

    def broken(source, target):
        if str(source).endswith(".tmp"):
            raise OSError("disk gone")
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", broken)
    with pytest.raises(OSError, match="disk gone"):
        make_folder(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_new_folder_over_a_file_raises_and_keeps_the_file(tmp_path, overwrite):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(FileExistsError, match="out is a file, which no folder can replace"):
        make_folder(tmp_path / "out", "new", overwrite=overwrite)
    assert (tmp_path / "out").read_text() == "precious"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_made_by_another_meanwhile_raises_and_keeps_that(tmp_path):
    with pytest.raises(FileExistsError, match="out exists"), new_folder(tmp_path / "out"):
        make_folder(tmp_path / "out", "the other's")
    assert (tmp_path / "out" / "a.txt").read_text() == "the other's"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_concurrent_creation_gives_one_whole_folder(tmp_path):
    everybody = threading.Barrier(8)

    def make(number):
        try:
            with new_folder(tmp_path / "out") as temporary:
                for name in "ab":
                    (temporary / name).write_text(str(number))
                everybody.wait(timeout=20)
        except OSError as error:
            return error
        return number

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(make, range(8)))
    (winner,) = [each for each in results if isinstance(each, int)]
    assert sum(isinstance(each, FileExistsError) for each in results) == 7
    assert [(tmp_path / "out" / name).read_text() for name in "ab"] == [str(winner)] * 2
    assert os.listdir(tmp_path) == ["out"]


class Garbage:
    """A cycle: collected at any time, perhaps in the midst of parsing, by running Python."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        sum(range(50))


def test_load_array_in_several_threads_never_fails(tmp_path):
    # Bare np.load ended in "SystemError: AST constructor recursion depth mismatch" here.
    expected = np.array([(7, 1)], [("hash", "<u8"), ("position", "<i8")])
    np.save(tmp_path / "a.npy", expected)
    end, interval = time.monotonic() + 2, sys.getswitchinterval()

    def load(_):
        while time.monotonic() < end:
            assert (load_array(tmp_path / "a.npy") == expected).all()
            Garbage(), Garbage()

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(load, range(4)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("mapped", [False, True])
def test_load_array_refuses_pickled_objects(tmp_path, mapped):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle|Python objects"):
        load_array(tmp_path / "a.npy", mapped=mapped)


def test_load_array_mapped_is_a_read_only_map(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    array = load_array(tmp_path / "a.npy", mapped=True)
    assert isinstance(array, np.memmap) and not array.flags.writeable
