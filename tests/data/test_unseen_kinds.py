import numpy as np
import pytest

from udsph_tf.data import (
    apply_split,
    hold_out_kinds,
    make_split,
    multi_hot,
    train_without_kinds,
)
from udsph_tf.data.fashion import keep_common_articles, read_fashion, read_fashion_attributes


@pytest.fixture
def kinds(made_pairs):
    """Forty items of five kinds (20, 10, 5, 4 and 1 of them) and two colours."""
    of_item = ["coat"] * 20 + ["sock"] * 10 + ["belt"] * 5 + ["ring"] * 4 + ["tie"]
    labels, names = multi_hot(
        [f"kind={kind}", f"colour={'red' if item % 2 else 'blue'}"]
        for item, kind in enumerate(of_item)
    )
    return made_pairs(40, labels=labels, label_names=names)


def columns(pairs, names):
    return [pairs.label_names.index(name) for name in names]


def test_hold_out_kinds_only_those_with_enough_items_are_drawn(kinds):
    drawn = {hold_out_kinds(kinds, "kind", 2, 5, seed) for seed in range(30)}
    # Two of the three kinds with five items or more: every pair comes up.
    assert drawn == {
        ("kind=belt", "kind=coat"),
        ("kind=belt", "kind=sock"),
        ("kind=coat", "kind=sock"),
    }


def test_hold_out_kinds_draw_does_not_depend_on_the_order_of_items_or_columns(kinds):
    order = np.random.default_rng(0).permutation(40)
    other = kinds.take(order)
    turned = type(kinds)(
        "made", other.ids, other.images, other.texts, other.labels[:, ::-1], other.label_names[::-1]
    )
    for seed in range(5):
        expected = hold_out_kinds(kinds, "kind", 2, 4, seed)
        assert hold_out_kinds(turned, "kind", 2, 4, seed) == expected


def test_hold_out_kinds_unknown_group_raises_with_the_groups(kinds):
    with pytest.raises(ValueError, match=r"one of \['colour', 'kind'\]. Received: group='size'"):
        hold_out_kinds(kinds, "size", 1, 1, 0)


@pytest.mark.parametrize(("number", "minimum"), [(0, 1), (-1, 1), (4, 5), (5, 1)])
def test_hold_out_kinds_impossible_number_raises_with_what_there_is(kinds, number, minimum):
    enough = 3 if minimum == 5 else 5
    message = (
        "`number` must be at least 1 and leave a kind to train on; "
        f"{enough} of 5 kinds of kind have {minimum} items. Received: number={number}"
    )
    with pytest.raises(ValueError) as error:
        hold_out_kinds(kinds, "kind", number, minimum, 0)
    assert str(error.value) == message


def test_train_without_kinds_moves_their_training_items_to_the_database(kinds):
    split = make_split(kinds, num_query=6, num_validation=6, num_train=20)
    names = ("kind=sock", "kind=belt")
    before, after = (
        apply_split(kinds, each) for each in (split, train_without_kinds(kinds, split, names))
    )
    for role in ("query", "validation", "database"):
        assert after.indices(role).tolist() == before.indices(role).tolist()
    of_kinds = kinds.labels[:, columns(kinds, names)].any(axis=1)
    train = before.indices("train")
    assert of_kinds[train].any()
    assert after.indices("train").tolist() == [row for row in train if not of_kinds[row]]


def test_train_without_kinds_changes_the_checksum_and_keeps_ids_sorted(kinds):
    split = make_split(kinds, num_query=6, num_validation=6, num_train=20)
    done = train_without_kinds(kinds, split, ["kind=sock"])
    assert done.checksum() != split.checksum()
    for ids in done.roles.values():
        assert list(ids) == sorted(ids)


def test_train_without_kinds_none_is_the_same_split(kinds):
    split = make_split(kinds, num_query=6, num_validation=6)
    assert train_without_kinds(kinds, split, []) == split


def test_train_without_kinds_unknown_name_raises(kinds):
    split = make_split(kinds)
    with pytest.raises(ValueError, match=r"labels of the pairs. Received: \['kind=hat'\]"):
        train_without_kinds(kinds, split, ["kind=hat", "kind=sock"])


def test_train_without_kinds_nothing_to_train_on_raises_with_the_remedy(kinds):
    split = make_split(kinds)
    with pytest.raises(ValueError, match="no two training items share a label. Hold fewer kinds"):
        train_without_kinds(kinds, split, ["colour=red", "colour=blue"])


def test_hold_out_kinds_real_data_same_kinds_under_both_protocols(real_data):
    plain, attributes = (
        keep_common_articles(read(real_data("fashion"))[0])
        for read in (read_fashion, read_fashion_attributes)
    )
    drawn = hold_out_kinds(plain, "articleType", 8, 150, 0)
    assert drawn == hold_out_kinds(attributes, "articleType", 8, 150, 0)
    assert len(drawn) == 8
    assert plain.labels[:, columns(plain, drawn)].sum(axis=0).min() >= 150
    split = make_split(plain, num_query=2000, num_validation=2000, num_train=10000)
    train = apply_split(plain, train_without_kinds(plain, split, drawn)).indices("train")
    assert not plain.labels[train][:, columns(plain, drawn)].any()
