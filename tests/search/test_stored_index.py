import numpy as np
import pytest

from udsph_tf.search import FaissIndex, HammingIndex, Item, StoredIndex


class ReversedIndex:
    """The smallest thing that is a `HammingIndex`: finds the last positions, at distance 7."""

    num_bits = 8

    def __len__(self):
        return 3

    def is_exact(self):
        return False

    def search(self, packed_queries, k):
        positions = np.tile(np.arange(2, -1, -1)[:k], (len(packed_queries), 1))
        return np.full_like(positions, 7, dtype=np.int32), positions

    def codes(self, positions):
        return np.zeros((len(positions), 1), np.uint8)


@pytest.fixture
def index():
    codes = FaissIndex(8)
    codes.add(np.array([[0], [1], [3]], dtype=np.uint8))
    items = [Item(name, "", "") for name in "abc"]
    return StoredIndex(codes, ReversedIndex(), items, model_checksum="m", metadata={})


def test_search_any_hamming_index_serves_its_modality(index):
    assert isinstance(ReversedIndex(), HammingIndex)
    query = np.array([[3]], dtype=np.uint8)
    assert [hit.item.id for hit in index.search(query, "image", 3)[0]] == ["c", "b", "a"]
    assert [hit.distance for hit in index.search(query, "image", 3)[0]] == [0, 1, 2]
    assert [hit.distance for hit in index.search(query, "text", 2)[0]] == [7, 7]


def test_search_hits_hold_plain_python_numbers(index):
    hit = index.search(np.array([[0]], dtype=np.uint8), "image", 1)[0][0]
    assert (type(hit.distance), type(hit.rank)) == (int, int)


def test_search_unknown_modality_raises(index):
    with pytest.raises(
        ValueError, match='`modality` must be "image" or "text" or "fused". Received: \'vid'
    ):
        index.search(np.array([[0]], dtype=np.uint8), "video", 1)
