import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from udsph_tf.data import array_cache
from udsph_tf.data.array_cache import ArrayCache, cache_key

LAYOUT = {"square": ((), "int64"), "pair": ((2,), "float16")}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(array_cache, "_CHUNK", 4)


def power_cut():
    raise RuntimeError("power cut")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Worker:
    """Squares of row numbers, and a record of the rows it was asked for; some rows fail."""

    def __init__(self, num_rows=10, failing=(), stop_at=None, stop=power_cut):
        self.num_rows, self.failing, self.rows = num_rows, failing, []
        self.stop_at, self.stop = stop_at, stop

    def __call__(self, start, chunk):
        for begin in range(start, self.num_rows, chunk):
            rows = np.arange(begin, min(begin + chunk, self.num_rows))
            if self.stop_at is not None and self.stop_at in rows:
                self.stop()
            self.rows += rows.tolist()
            arrays = {"square": rows**2, "pair": np.stack([rows, -rows], axis=1)}
            yield arrays, {int(row): "it failed" for row in rows if row in self.failing}


@pytest.fixture
def fill(tmp_path):
    """Function that opens the cache anew and fills it: (cache, rows that were computed)."""

    def fill(worker=None, num_rows=10, layout=LAYOUT):
        worker = worker or Worker(num_rows)
        cache = ArrayCache(tmp_path / "cache", num_rows, layout)
        cache.fill(worker, "rows")
        return cache, worker.rows

    return fill


def test_remove_deletes_the_folder_and_a_cache_of_it_can_be_filled_again(fill):
    cache, _ = fill()
    cache.remove()
    assert not cache.folder.exists()
    cache, rows = fill()
    assert rows == list(range(10))
    assert_whole(cache)


def assert_whole(cache, num_rows=10):
    rows = np.arange(num_rows)
    np.testing.assert_array_equal(cache.array("square"), rows**2)
    np.testing.assert_array_equal(cache.array("pair"), np.stack([rows, -rows], axis=1))


def test_cache_key_differs_with_parts_and_their_borders():
    keys = [cache_key(*parts) for parts in (["ab"], ["a", "b"], ["b", "a"], ["a"], [], [""])]
    assert len(set(keys)) == len(keys)
    assert cache_key("é") == cache_key("é".encode())
    assert all(len(key) == 24 for key in keys)


def test_fill_new_cache_computes_every_row_once(fill):
    cache, computed = fill()
    assert computed == list(range(10))
    assert_whole(cache)
    assert cache.array("pair").dtype == np.float16
    assert cache.failed == {}


def test_fill_work_that_ends_early_raises(fill):
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        fill(Worker(8))


def test_fill_again_computes_nothing(fill):
    fill()
    cache, computed = fill()
    assert computed == []
    assert_whole(cache)


def test_fill_after_an_exception_goes_on_where_it_stopped(fill):
    with pytest.raises(RuntimeError, match="power cut"):
        fill(Worker(stop_at=6))
    cache, computed = fill()
    # Chunks of four: 0-3 were done, 4-7 were not.
    assert computed == [4, 5, 6, 7, 8, 9]
    assert_whole(cache)


def test_fill_after_a_kill_goes_on_where_it_stopped(fill):
    if not (child := os.fork()):
        fill(Worker(stop_at=6, stop=kill))
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    cache, computed = fill()
    assert computed == [4, 5, 6, 7, 8, 9]
    assert_whole(cache)


@pytest.mark.parametrize("num_rows", [0, 1, 4, 8])
def test_fill_number_of_rows_at_the_border_of_a_chunk(fill, num_rows):
    cache, computed = fill(num_rows=num_rows)
    assert computed == list(range(num_rows))
    assert_whole(cache, num_rows)
    assert fill(num_rows=num_rows)[1] == []


def test_fill_flipped_byte_recomputes_that_chunk_and_later_ones(fill, tmp_path):
    fill()
    path = tmp_path / "cache" / "square.npy"
    data = bytearray(path.read_bytes())
    data[-8 * 5] ^= 1  # of row 5, the fifth from the end
    path.write_bytes(data)
    cache, computed = fill()
    assert computed == [4, 5, 6, 7, 8, 9]
    assert_whole(cache)


def test_fill_truncated_array_recomputes_what_is_lost(fill, tmp_path):
    fill()
    path = tmp_path / "cache" / "pair.npy"
    path.write_bytes(path.read_bytes()[:-4])  # the last row
    cache, computed = fill()
    assert computed == [8, 9]
    assert_whole(cache)


@pytest.mark.parametrize("length", [0, 5, 40])
def test_fill_array_cut_in_its_header_is_made_anew(fill, tmp_path, length):
    fill()
    path = tmp_path / "cache" / "pair.npy"
    path.write_bytes(path.read_bytes()[:length])
    cache, computed = fill()
    assert computed == list(range(10))
    assert_whole(cache)


@pytest.mark.parametrize("name", ["pair.npy", "progress.json"])
def test_fill_missing_file_is_made_anew(fill, tmp_path, name):
    fill()
    (tmp_path / "cache" / name).unlink()
    cache, computed = fill()
    assert computed == list(range(10))
    assert_whole(cache)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{}", b"[]", b"7", b"\xff", b'{"crcs": 3, "failed": {}}']
)
def test_fill_damaged_progress_is_made_anew(fill, tmp_path, data):
    fill()
    (tmp_path / "cache" / "progress.json").write_bytes(data)
    cache, computed = fill()
    assert computed == list(range(10))
    assert_whole(cache)


def test_fill_other_number_of_rows_is_made_anew(fill):
    fill()
    cache, computed = fill(num_rows=6)
    assert computed == list(range(6))
    assert_whole(cache, 6)


def test_fill_other_type_is_made_anew(fill):
    fill()
    cache, computed = fill(layout={**LAYOUT, "pair": ((2,), "float32")})
    assert computed == list(range(10))
    assert cache.array("pair").dtype == np.float32


def test_fill_failed_rows_are_kept_across_resume_with_their_reasons(fill):
    cache, _ = fill(Worker(failing=[1, 9]))
    assert cache.failed == {1: "it failed", 9: "it failed"}
    cache, computed = fill()
    assert computed == []
    assert cache.failed == {1: "it failed", 9: "it failed"}


def test_fill_failed_row_that_succeeds_when_computed_again_is_no_failure(fill, tmp_path):
    fill(Worker(failing=[1, 9]))
    path = tmp_path / "cache" / "square.npy"
    path.write_bytes(path.read_bytes()[:-8])  # the last row
    cache, computed = fill()
    assert computed == [8, 9]
    assert cache.failed == {1: "it failed"}


def test_fill_remade_cache_forgets_the_failures_of_the_old(fill):
    fill(Worker(failing=[1]))
    assert fill(num_rows=6)[0].failed == {}


def test_array_view_is_read_only(fill):
    cache, _ = fill()
    with pytest.raises(ValueError, match="read-only"):
        cache.array("square")[0] = 1


def test_progress_has_one_checksum_a_chunk(fill, tmp_path):
    fill()
    content = json.loads((tmp_path / "cache" / "progress.json").read_text())
    assert content["num_rows"] == 10
    assert len(content["crcs"]) == 3


def test_fill_two_at_once_compute_every_row_once(tmp_path):
    started, computed = threading.Barrier(2), []

    def run(_):
        cache, worker = ArrayCache(tmp_path / "cache", 200, LAYOUT), Worker(200)
        started.wait(timeout=20)
        cache.fill(worker, "rows")
        computed.extend(worker.rows)
        return cache

    with ThreadPoolExecutor(2) as pool:
        for cache in pool.map(run, range(2)):
            assert_whole(cache, 200)
    assert sorted(computed) == list(range(200))


def test_fill_more_than_the_disk_holds_is_an_error_before_anything_is_written(tmp_path):
    cache = ArrayCache(tmp_path / "cache", 10**15, {"x": ((1000,), "float32")})
    with pytest.raises(OSError, match=r"needs \d+\.\d GB, and .* free in .*--cache"):
        cache.fill(Worker(10**15), "rows")
    assert not list((tmp_path / "cache").glob("*.npy"))
