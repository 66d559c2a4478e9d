import numpy as np
import pytest

from udsph_tf.codes import hamming_distance
from udsph_tf.evaluation import pairs as pairs_module
from udsph_tf.evaluation.pairs import RetrievalPairs

CODES = np.zeros((2, 1), dtype=np.uint8)
LABELS = np.ones((2, 3))


@pytest.mark.parametrize("block_pairs, tile_pairs", [(1, 1), (1000, 300), (1 << 21, 1 << 17)])
@pytest.mark.parametrize("graded", [True, False])
def test_blocks_any_block_size_give_whole_matrices(
    monkeypatch, random_case, block_pairs, tile_pairs, graded
):
    monkeypatch.setattr(pairs_module, "_BLOCK_PAIRS", block_pairs)
    monkeypatch.setattr(pairs_module, "_TILE_PAIRS", tile_pairs)
    query, query_labels, database, database_labels = random_case
    blocks = list(RetrievalPairs(*random_case).blocks(graded))

    expected = query_labels @ database_labels.T
    np.testing.assert_array_equal(
        np.concatenate([block[1] for block in blocks]), hamming_distance(query, database)
    )
    np.testing.assert_array_equal(
        np.concatenate([block[2] for block in blocks]), expected if graded else expected > 0
    )
    rows = np.concatenate([np.arange(len(query))[block[0]] for block in blocks])
    np.testing.assert_array_equal(rows, np.arange(len(query)))


def test_blocks_more_than_255_shared_labels_do_not_wrap_around():
    many = np.ones((2, 300), dtype=bool)
    (_, _, shared), *rest = RetrievalPairs(CODES, many, CODES, many).blocks()
    assert not rest
    assert shared.tolist() == [[300, 300], [300, 300]]


@pytest.mark.parametrize("num_labels", [1, 8, 9, 17, 33, 64, 65, 255])
@pytest.mark.parametrize("graded", [True, False])
def test_blocks_any_number_of_labels_equals_matrix_product(num_labels, graded):
    generator = np.random.default_rng(num_labels)
    query_labels = generator.integers(0, 2, (5, num_labels))
    database_labels = generator.integers(0, 2, (7, num_labels)) * (np.arange(7) > 1)[:, None]
    query, database = np.zeros((5, 1), dtype=np.uint8), np.zeros((7, 1), dtype=np.uint8)
    pairs = RetrievalPairs(query, query_labels, database, database_labels)
    ((_, _, shared),) = pairs.blocks(graded)
    expected = query_labels @ database_labels.T
    np.testing.assert_array_equal(shared, expected if graded else expected > 0)


def test_pairs_integer_and_boolean_labels_are_equal_to_float_labels():
    for kind in (bool, np.int8, np.uint8, np.float64):
        pairs = RetrievalPairs(CODES, LABELS.astype(kind), CODES, LABELS.astype(kind))
        assert next(pairs.blocks())[2].tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            (CODES[:0], LABELS[:0], CODES, LABELS),
            r"`query_packed` must hold at least one code\. Received: shape=\(0, 1\)",
        ),
        (
            (CODES, LABELS, CODES[:0], LABELS[:0]),
            r"`database_packed` must hold at least one code\. Received: shape=\(0, 1\)",
        ),
        (
            (CODES.astype(np.int64), LABELS, CODES, LABELS),
            r"`query_packed` must be packed codes, uint8 .* Received: dtype=int64, shape=\(2, 1\)",
        ),
        (
            (CODES, LABELS, CODES[0], LABELS),
            r"`database_packed` must be packed codes, uint8 .* Received: dtype=uint8, shape=\(1,\)",
        ),
        (
            (CODES, LABELS, np.zeros((2, 2), dtype=np.uint8), LABELS),
            r"codes of one length\. Received: 8 and 16 bits",
        ),
        (
            (CODES, LABELS[:1], CODES, LABELS),
            r"`query_labels` must .* each of the 2 codes .* Received: shape=\(1, 3\)",
        ),
        (
            (CODES, LABELS, CODES, LABELS[:, 0]),
            r"`database_labels` must .* Received: shape=\(2,\)",
        ),
        (
            (CODES, LABELS, CODES, LABELS[:, :2]),
            r"must have the same columns\. Received: 3 and 2 columns",
        ),
        (
            (CODES, 2 * LABELS, CODES, LABELS),
            r"`query_labels` must be multi-hot, only 0 and 1\. Received: other values",
        ),
        (
            (CODES, LABELS, CODES, LABELS * np.nan),
            r"`database_labels` must be multi-hot, only 0 and 1\. Received: other values",
        ),
    ],
)
def test_pairs_unfit_argument_raises_with_its_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        RetrievalPairs(*arguments)
