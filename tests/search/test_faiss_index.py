import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.codes import hamming_distance
from udsph_tf.search import FaissIndex, HammingIndex
from udsph_tf.search import faiss_index as module


def make_index(packed):
    index = FaissIndex(8 * packed.shape[1])
    index.add(packed)
    return index


def brute_force(packed, queries, k):
    """Distances and positions by a stable sort of all distances."""
    distances = hamming_distance(queries, packed)
    positions = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, positions, axis=1), positions


def assert_equals_brute_force(packed, queries, k):
    distances, positions = make_index(packed).search(queries, k)
    expected_distances, expected_positions = brute_force(packed, queries, k)
    np.testing.assert_array_equal(distances, expected_distances)
    np.testing.assert_array_equal(positions, expected_positions)


def test_faiss_index_is_an_exact_hamming_index():
    index = FaissIndex(num_bits=16)
    assert isinstance(index, HammingIndex)
    assert index.num_bits == 16
    assert index.is_exact() is True


def test_search_hand_worked_returns_distances_and_positions():
    # Against 0b0000: 1111 differs in 4 bits, 0001 in 1, 0110 in 2, 1000 in 1.
    index = make_index(np.array([[0b1111], [0b0001], [0b0110], [0b1000]], dtype=np.uint8))
    distances, positions = index.search(np.array([[0]], dtype=np.uint8), k=4)
    assert distances.tolist() == [[1, 1, 2, 4]]
    assert positions.tolist() == [[1, 3, 2, 0]]
    assert distances.dtype == np.int32
    assert positions.dtype == np.int64


def test_add_twice_continues_the_positions():
    index = FaissIndex(8)
    index.add(np.array([[255]], dtype=np.uint8))
    index.add(np.array([[1], [0]], dtype=np.uint8))
    assert len(index) == 3
    assert index.search(np.array([[0]], dtype=np.uint8), k=1)[1].tolist() == [[2]]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_search_random_codes_equals_brute_force(data):
    num_bytes = data.draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
    num_items = data.draw(st.integers(1, 300))
    # Few distinct byte values make many ties.
    values = data.draw(st.sampled_from([2, 5, 256]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    packed = rng.integers(0, values, (num_items, num_bytes)).astype(np.uint8)
    queries = rng.integers(0, values, (data.draw(st.integers(1, 5)), num_bytes)).astype(np.uint8)
    assert_equals_brute_force(packed, queries, data.draw(st.integers(1, num_items)))


@pytest.mark.parametrize("k", [1, 2, 10, 700])
def test_search_more_ties_at_the_cut_than_fetched_takes_smallest_positions(k):
    # 3 codes for 5,000 items: over a thousand items share every distance.
    packed = np.random.default_rng(0).integers(0, 3, (5_000, 1)).astype(np.uint8)
    assert_equals_brute_force(packed, np.array([[0], [1], [7]], dtype=np.uint8), k)


def test_search_all_codes_equal_returns_the_first_positions():
    packed = np.full((3_000, 8), 170, dtype=np.uint8)
    distances, positions = make_index(packed).search(packed[:100], k=20)
    assert (distances == 0).all()
    np.testing.assert_array_equal(positions, np.tile(np.arange(20), (100, 1)))


def test_faiss_keeps_smallest_positions_here():
    # What makes the exact search as fast as bare FAISS; a version that stops doing it is caught.
    assert module.keeps_smallest_positions() is True


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_search_among_some_positions_equals_brute_force(data):
    size, num_bytes = data.draw(st.integers(1, 400)), data.draw(st.sampled_from([1, 3, 8, 16]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    packed = rng.integers(0, 4, (size, num_bytes)).astype(np.uint8)
    among = rng.random(size) < data.draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))
    k = data.draw(st.integers(1, 50))
    distances, positions = make_index(packed).search(packed[:5], k, among)
    places = np.flatnonzero(among)
    assert distances.shape == (len(packed[:5]), min(k, len(places)))
    if len(places):
        expected_distances, expected = brute_force(packed[places], packed[:5], k)
        np.testing.assert_array_equal(distances, expected_distances)
        np.testing.assert_array_equal(positions, places[expected])


@pytest.mark.parametrize("among", [np.ones(3, bool), np.ones(4, int), [True]])
def test_search_mask_that_does_not_fit_raises(among):
    with pytest.raises(ValueError, match="`among` must be 4 booleans"):
        make_index(np.zeros((4, 1), np.uint8)).search(np.zeros((1, 1), np.uint8), 1, among)


def test_search_faiss_returns_other_ties_still_takes_smallest_positions(monkeypatch):
    # FAISS may return any of the tied codes: here a stand-in prefers the largest positions.
    packed = np.random.default_rng(2).integers(0, 4, (2_000, 1)).astype(np.uint8)
    index = make_index(packed)

    class LastTiesFirst:
        d, ntotal = index._index.d, index._index.ntotal

        def search(self, queries, k):
            distances = hamming_distance(queries, packed)
            order = np.lexsort((-np.arange(self.ntotal)[None].repeat(len(queries), 0), distances))
            order = order[:, :k]
            return np.take_along_axis(distances, order, 1).astype(np.int32), order

    index._index = LastTiesFirst()
    monkeypatch.setattr(module, "keeps_smallest_positions", lambda: False)
    queries = np.array([[0], [3], [255]], dtype=np.uint8)
    distances, positions = index.search(queries, k=25)
    expected_distances, expected_positions = brute_force(packed, queries, 25)
    np.testing.assert_array_equal(distances, expected_distances)
    np.testing.assert_array_equal(positions, expected_positions)


def test_search_non_contiguous_input_equals_contiguous():
    wide = np.random.default_rng(3).integers(0, 256, (50, 16)).astype(np.uint8)
    assert_equals_brute_force(wide[:, ::2], wide[::5, 1::2], 5)


def test_search_k_beyond_the_size_is_cut():
    packed = np.arange(6, dtype=np.uint8)[:, None]
    distances, positions = make_index(packed).search(packed[:2], k=100)
    assert distances.shape == positions.shape == (2, 6)


def test_search_empty_index_returns_no_neighbours():
    distances, positions = FaissIndex(8).search(np.zeros((3, 1), dtype=np.uint8), k=5)
    assert distances.shape == positions.shape == (3, 0)


def test_search_no_queries_returns_no_rows():
    distances, _ = make_index(np.zeros((4, 1), np.uint8)).search(np.zeros((0, 1), np.uint8), k=2)
    assert distances.shape == (0, 2)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3", None])
def test_search_k_not_positive_integer_raises(k):
    index = make_index(np.zeros((4, 1), np.uint8))
    with pytest.raises(ValueError, match=f"`k` must be a positive integer. Received: k={k!r}"):
        index.search(np.zeros((1, 1), np.uint8), k)


@pytest.mark.parametrize(
    "packed", [np.zeros((2, 3), np.uint8), np.zeros(2, np.uint8), np.zeros((2, 2), np.int8)]
)
def test_index_unfit_codes_raise(packed):
    index = FaissIndex(16)
    with pytest.raises(ValueError, match=r"`packed_queries` must be packed codes.*\(n, 2\)"):
        index.search(packed, 1)
    with pytest.raises(ValueError, match=r"`packed` must be packed codes.*\(n, 2\)"):
        index.add(packed)


def test_faiss_index_bad_num_bits_raises():
    with pytest.raises(ValueError, match="`num_bits` must be a positive multiple of 8"):
        FaissIndex(12)


def test_write_and_read_gives_the_same_neighbours(tmp_path):
    packed = np.random.default_rng(4).integers(0, 256, (40, 4)).astype(np.uint8)
    make_index(packed).write(tmp_path / "codes.faissbin")
    loaded = FaissIndex.read(tmp_path / "codes.faissbin")
    assert (loaded.num_bits, len(loaded)) == (32, 40)
    np.testing.assert_array_equal(loaded.search(packed, 3)[1], brute_force(packed, packed, 3)[1])


def test_read_missing_or_damaged_file_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.faissbin"):
        FaissIndex.read(tmp_path / "none.faissbin")
    path = tmp_path / "bad.faissbin"
    path.write_bytes(b"this is not an index of any kind")
    with pytest.raises(ValueError, match=r"bad\.faissbin is not a whole FAISS index"):
        FaissIndex.read(path)


def test_write_into_missing_folder_raises_os_error(tmp_path):
    with pytest.raises(OSError, match="cannot write the index"):
        FaissIndex(8).write(tmp_path / "none" / "codes.faissbin")
