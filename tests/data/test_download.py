import zipfile

import pytest
from made_downloads import write

from udsph_tf.data.download import Download, decode_text, folder_with


def paths(files, pattern):
    return sorted(entry.inside for _, entry in files.match(pattern))


def test_match_finds_the_end_of_a_path_at_any_depth_and_in_archives(tmp_path):
    write(tmp_path / "a/b/tags/tags1.txt", "one")
    write(tmp_path / "a/b/tags_raw/tags1.txt", "raw one")
    write(tmp_path / "__MACOSX/tags/tags3.txt", "")
    write(tmp_path / "tags/._tags4.txt", "")
    with zipfile.ZipFile(tmp_path / "more.ZIP", "w") as archive:
        archive.writestr("TAGS/tags2.TXT", "two")
        archive.writestr("__MACOSX/TAGS/._tags2.TXT", "")
    with Download(tmp_path, "tags") as files:
        assert paths(files, r"tags/tags(\d+)\.txt") == [
            "a/b/tags/tags1.txt",
            "more.ZIP/TAGS/tags2.TXT",
        ]
        assert [entry.text() for _, entry in files.match(r"tags2\.txt")] == ["two"]


def test_match_the_same_file_twice_is_found_once_and_a_different_one_is_an_error(tmp_path):
    write(tmp_path / "one/list.txt", "same")
    write(tmp_path / "two/list.txt", "same")
    with Download(tmp_path, "lists") as files:
        assert files.one(r"list\.txt", "list.txt").path == str(tmp_path / "one/list.txt")
    write(tmp_path / "two/list.txt", "another")
    with (
        Download(tmp_path, "lists") as files,
        pytest.raises(ValueError, match=r"files list\.txt: .*/one/list\.txt and .*/two/list"),
    ):
        files.one(r"list\.txt", "list.txt")


def test_one_what_is_missing_is_named_with_what_may_be_the_cause(tmp_path):
    root = tmp_path / "images"
    write(tmp_path / "list.txt", "one level up")
    write(root / "lists.zip", b"PK\x03\x04 cut off")
    write(root / "lists.tar.gz", b"")
    write(root / "other.zip.part", b"")
    with Download(root, "list.txt") as files, pytest.raises(FileNotFoundError) as error:
        files.one(r"list\.txt", "list.txt")
    said = str(error.value)
    assert f"{tmp_path}/list.txt" not in said
    assert said.startswith(f"There is no list.txt below {root}. `--root` must be a folder with ")
    assert "lists.zip (File is not a zip file) cannot be read: download it again" in said
    assert "other.zip.part is not a whole download: go on with it" in said
    assert "lists.tar.gz must be unpacked first" in said


@pytest.mark.parametrize("inside", ["images", "images/train"])
def test_one_a_root_that_is_too_deep_names_the_file_and_the_folder_that_has_it(tmp_path, inside):
    root = tmp_path / "coco" / inside
    root.mkdir(parents=True)
    write(tmp_path / "coco/lists/list.txt", "")
    said = f"if {tmp_path}/coco/lists/list.txt belongs to it, give the folder {tmp_path}/coco$"
    with Download(root, "lists") as files, pytest.raises(FileNotFoundError, match=said):
        files.one(r"list\.txt", "list.txt")


def test_download_incomplete_archive_is_named_where_nothing_else_is_missing(tmp_path, caplog):
    write(tmp_path / "list.txt", "")
    write(tmp_path / "more.zip", b"PK\x03\x04 cut off")
    for _ in range(2):
        with Download(tmp_path, "lists") as files:
            files.one(r"list\.txt", "list.txt")
    assert caplog.text.count("more.zip (File is not a zip file) cannot be read: download") == 1


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entry_of_a_damaged_archive_raises_with_path_and_remedy(tmp_path, packed):
    path = tmp_path / "lists.zip"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("list.txt", "some words of a list, " * 9)
    data = bytearray(path.read_bytes())
    data[45:55] = bytes(10)
    path.write_bytes(data)
    with Download(tmp_path, "lists") as files:
        entry = files.one(r"list\.txt", "list.txt")
        said = r"lists\.zip/list\.txt cannot be read from the archive .*\. Download the"
        with pytest.raises(ValueError, match=said):
            entry.read()


def test_folder_with_finds_the_folder_below_and_refuses_what_is_packed(tmp_path):
    write(tmp_path / "deep/er/a.mat", "")
    assert folder_with("a.mat", tmp_path, "a.mat") == tmp_path / "deep/er"
    assert folder_with("a.mat", tmp_path / "deep/er", "a.mat") == tmp_path / "deep/er"
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("b.mat", "")
    with pytest.raises(ValueError, match=r"b\.zip/b\.mat is inside an archive. Unpack it"):
        folder_with("b.mat", tmp_path, "b.mat")


def test_download_no_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*absent.* with some lists"):
        Download(tmp_path / "absent", "some lists")


def test_download_links_in_a_circle_are_walked_once(tmp_path):
    write(tmp_path / "a/list.txt", "")
    (tmp_path / "a/round").symlink_to(tmp_path / "a")
    with Download(tmp_path, "lists") as files:
        assert len(files.match(r"list\.txt")) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_decode_text_knows_marked_encodings(encoding):
    assert decode_text("caf\xe9 \u4e2d".encode(encoding), "a.txt") == "caf\xe9 \u4e2d"


def test_decode_text_other_encodings_raise_with_file_line_and_remedy():
    with pytest.raises(ValueError, match=r"a\.txt, line 2: not UTF-8 .*iconv"):
        decode_text("one\ncaf\xe9\n".encode("latin-1"), "a.txt")
