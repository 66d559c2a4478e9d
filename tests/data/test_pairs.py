import hashlib

import numpy as np
import pytest

from udsph_tf.data import Pairs, multi_hot
from udsph_tf.data.pairs import ROLES, holds_vectors


def test_pairs_columns_become_arrays_of_the_documented_types(made_pairs):
    pairs = made_pairs(3)
    assert len(pairs) == 3
    assert pairs.ids.dtype == pairs.images.dtype == pairs.texts.dtype == object
    assert pairs.labels.dtype == np.uint8
    assert pairs.label_names == ("even", "odd")
    assert pairs.labels.tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"texts": ["one"]},
            "The columns of `Pairs` must be equally long. "
            "Received: {'ids': 3, 'images': 3, 'texts': 1, 'labels': 3}",
        ),
        (
            {"roles": ["train"]},
            "The columns of `Pairs` must be equally long. "
            "Received: {'ids': 3, 'images': 3, 'texts': 3, 'labels': 3, 'roles': 1}",
        ),
        (
            {"label_names": ["even"]},
            "`labels` must have one column for each of `label_names`. "
            "Received: shape=(3, 2), 1 names",
        ),
        (
            {"labels": [1, 0, 1]},
            "`labels` must have one column for each of `label_names`. "
            "Received: shape=(3,), 2 names",
        ),
        (
            {"labels": [[1, 0], [0, 2], [1, 0]]},
            "`labels` must hold only 0 and 1. Received: [0 1 2]",
        ),
        (
            {"labels": [[0.5, 0], [0, 1], [1, 0]]},
            "`labels` must hold only 0 and 1. Received: [0.  0.5 1. ]",
        ),
        (
            {"ids": ["a", "b", "a"]},
            "made: duplicate ids: a. Every item needs its own id: leave one row of each",
        ),
        (
            {"roles": ["test"] * 3},
            f"`roles` must be of {ROLES}. Received: {{'test'}}",
        ),
        ({"roles": [None] * 3}, f"`roles` must be of {ROLES}. Received: {{None}}"),
    ],
)
def test_pairs_unfit_column_raises(made_pairs, changes, message):
    with pytest.raises(ValueError) as error:
        made_pairs(3, **changes)
    assert str(error.value) == message


def test_pairs_many_duplicate_ids_names_five_and_counts_the_rest(made_pairs):
    with pytest.raises(ValueError, match="duplicate ids: 0, 1, 2, 3, 4 and 3 more"):
        made_pairs(16, ids=[str(item % 8) for item in range(16)])


@pytest.mark.parametrize("indices", [[2, 0], np.array([2, 0])])
def test_take_integers_keeps_their_order_in_every_column(made_pairs, indices):
    taken = made_pairs(3, roles=["train", "query", "database"]).take(indices)
    assert taken.ids.tolist() == ["item2", "item0"]
    assert taken.images.tolist() == ["/pictures/2.jpg", "/pictures/0.jpg"]
    assert taken.texts.tolist() == ["text 2", "text 0"]
    assert taken.labels.tolist() == [[1, 0], [1, 0]]
    assert taken.roles.tolist() == ["database", "train"]


def test_take_mask_keeps_the_marked(made_pairs):
    assert made_pairs(3).take([False, True, True]).ids.tolist() == ["item1", "item2"]


def test_take_nothing_gives_no_items_and_the_same_labels(made_pairs):
    taken = made_pairs(3).take([])
    assert len(taken) == 0
    assert taken.labels.shape == (0, 2)


def test_indices_database_includes_train(made_pairs):
    pairs = made_pairs(5, roles=["train", "query", "database", "validation", "train"])
    assert pairs.indices("database").tolist() == [0, 2, 4]
    assert pairs.indices("train").tolist() == [0, 4]
    assert pairs.indices("query").tolist() == [1]
    assert pairs.indices("validation").tolist() == [3]


def test_indices_without_roles_or_of_an_unknown_role_raises(made_pairs):
    with pytest.raises(ValueError, match="These pairs have no roles yet; apply a split first"):
        made_pairs(2).indices("query")
    with pytest.raises(ValueError, match="`role` must be one of .* Received: role='test'"):
        made_pairs(2, roles=["train", "query"]).indices("test")


def test_label_groups_are_columns_by_the_part_before_the_first_equals_sign(made_pairs):
    names = ["b=1", "a=x=y", "plain", "b=2"]
    pairs = made_pairs(1, labels=[[1, 1, 1, 1]], label_names=names)
    assert pairs.label_groups() == {"b": [0, 3], "a": [1]}


def test_drop_unused_labels_keeps_the_used_in_order(made_pairs):
    pairs = made_pairs(2, labels=[[0, 1, 0, 1], [0, 0, 0, 1]], label_names="abcd")
    dropped = pairs.drop_unused_labels()
    assert dropped.label_names == ("b", "d")
    assert dropped.labels.tolist() == [[1, 1], [0, 1]]


def test_checksum_other_order_is_equal_and_other_content_is_not(made_pairs):
    pairs = made_pairs(4)
    assert pairs.take([3, 1, 0, 2]).checksum() == pairs.checksum()
    others = [
        made_pairs(4, ids=["item0", "item1", "item2", "other"]),
        made_pairs(4, texts=["text 0", "text 1", "text 2", "other"]),
        made_pairs(4, labels=1 - pairs.labels),
        made_pairs(4, label_names=["even", "other"]),
        pairs.take([0, 1, 2]),
    ]
    assert pairs.checksum() not in {each.checksum() for each in others}
    assert len({each.checksum() for each in others}) == len(others)


def test_checksum_is_a_file_format_and_stays(made_pairs):
    # SHA-256 of "even", 1F, "odd" and, for each id in order, 1E id 1F text 1F columns.
    content = "even\x1fodd\x1eitem0\x1ftext 0\x1f0\x1eitem1\x1ftext 1\x1f1"
    assert made_pairs(2).checksum() == hashlib.sha256(content.encode()).hexdigest()


def test_pairs_vectors_stay_matrices_and_other_columns_do_not(made_pairs):
    vectors = np.arange(6, dtype=float).reshape(3, 2)
    pairs = made_pairs(3, images=vectors)
    assert pairs.images.dtype == np.float32
    assert pairs.take([2, 0]).images.tolist() == [[4, 5], [0, 1]]
    assert holds_vectors(pairs.images)
    assert not holds_vectors(pairs.texts)
    assert not holds_vectors([[1.0, 2.0]])


def test_checksum_covers_vectors_of_both_modalities(made_pairs):
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    other = vectors + np.float32([[0, 0], [0, 1e-6], [0, 0]])
    columns = [(vectors, vectors), (vectors, other), (other, vectors)]
    made = [made_pairs(3, images=images, texts=texts) for images, texts in columns]
    assert len({each.checksum() for each in made}) == 3
    assert made[1].take([2, 0, 1]).checksum() == made[1].checksum()


def test_multi_hot_repeated_and_missing_names_give_sorted_columns():
    labels, names = multi_hot([["b", "b"], [], {"a", "c"}])
    assert names == ("a", "b", "c")
    assert labels.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert labels.dtype == np.uint8


def test_multi_hot_of_nothing_is_an_empty_matrix():
    labels, names = multi_hot([])
    assert labels.shape == (0, 0)
    assert names == ()


def test_pairs_of_nothing_is_empty():
    assert len(Pairs("none", [], [], [], np.zeros((0, 0)), [])) == 0
