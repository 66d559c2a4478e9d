import json

import numpy as np
import pytest

from udsph_tf.data import Split, apply_split, make_split, read_split, write_split
from udsph_tf.data.pairs import ROLES


@pytest.fixture
def written(made_pairs, tmp_path):
    split = make_split(made_pairs(40), seed=3)
    write_split(tmp_path / "split.json", split)
    return tmp_path / "split.json", split


def sizes(split):
    return {role: len(split.roles[role]) for role in ROLES}


def test_make_split_given_sizes_are_kept_and_the_rest_is_database(made_pairs):
    split = make_split(made_pairs(50), num_query=5, num_validation=7, num_train=20)
    assert sizes(split) == {"query": 5, "validation": 7, "train": 20, "database": 18}


def test_make_split_zero_takes_a_tenth_and_trains_on_the_whole_database(made_pairs):
    split = make_split(made_pairs(57))
    assert sizes(split) == {"query": 5, "validation": 5, "train": 47, "database": 0}


def test_make_split_zero_of_many_takes_at_most_2000(made_pairs):
    split = make_split(made_pairs(20_100))
    assert sizes(split) == {"query": 2000, "validation": 2000, "train": 16_100, "database": 0}


def test_make_split_roles_are_disjoint_and_cover_all(made_pairs):
    pairs = made_pairs(50)
    split = make_split(pairs, num_train=20)
    drawn = [item for role in ROLES for item in split.roles[role]]
    assert len(drawn) == len(set(drawn)) == 50
    assert set(drawn) == set(pairs.ids)


def test_apply_split_train_is_part_of_the_database_and_queries_are_not(made_pairs):
    pairs = made_pairs(50)
    split = make_split(pairs, num_query=5, num_validation=7, num_train=20)
    done = apply_split(pairs, split)
    train, database = set(done.indices("train")), set(done.indices("database"))
    query, validation = set(done.indices("query")), set(done.indices("validation"))
    assert train < database
    assert (len(train), len(database)) == (20, 38)
    assert not database & (query | validation)
    assert not query & validation
    assert {done.ids[row] for row in query} == set(split.roles["query"])
    assert pairs.roles is None


def test_make_split_same_items_in_another_order_is_the_same_split(made_pairs):
    pairs = made_pairs(50)
    order = np.random.default_rng(9).permutation(50)
    assert make_split(pairs.take(order), seed=4) == make_split(pairs, seed=4)


def test_make_split_draw_depends_on_the_seed_and_not_on_the_rows(made_pairs):
    pairs = made_pairs(50)
    first, second = make_split(pairs, seed=0), make_split(pairs, seed=1)
    assert first.roles != second.roles
    assert first.checksum() != second.checksum()
    # Never "the first rows": a draw of five of fifty that gives 0..4 has odds of 1 in 2,118,760.
    assert set(first.roles["query"]) != {f"item{row}" for row in range(5)}


def test_make_split_too_few_items_raises_with_numbers_and_remedy(made_pairs):
    with pytest.raises(ValueError) as error:
        make_split(made_pairs(3), num_query=1, num_validation=1)
    assert str(error.value) == (
        "3 items cannot give 1 query, 1 validation and at least 2 training items. Lower --set "
        "data.num_query=..., data.num_validation=... or data.num_train=..."
    )
    with pytest.raises(ValueError, match="10 items cannot give 4 query, 4 validation and 3 train"):
        make_split(made_pairs(10), num_query=4, num_validation=4, num_train=3)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_make_split_hardly_any_items_raises(made_pairs, count):
    with pytest.raises(ValueError, match=f"{count} items cannot give 1 query"):
        make_split(made_pairs(count))


@pytest.mark.parametrize("name", ["num_query", "num_validation", "num_train"])
def test_make_split_negative_number_raises(made_pairs, name):
    number = -2 if name == "num_validation" else -1
    with pytest.raises(
        ValueError, match=f"`num_train` must not be negative, .*Received: .*{number}"
    ):
        make_split(made_pairs(20), **{name: number})


def test_make_split_minus_one_validation_holds_none_back(made_pairs):
    split = make_split(made_pairs(50), num_query=5, num_validation=-1)
    assert sizes(split) == {"query": 5, "validation": 0, "train": 45, "database": 0}


def test_make_split_fixed_query_items_are_the_query_and_the_draw_is_among_the_rest(made_pairs):
    roles = ["query" if row in (3, 30, 31) else "database" for row in range(40)]
    pairs = made_pairs(40, roles=roles)
    splits = [make_split(pairs, num_validation=6, num_train=10, seed=seed) for seed in (0, 1)]
    for split in splits:
        assert set(split.roles["query"]) == {"item3", "item30", "item31"}
        assert sizes(split) == {"query": 3, "validation": 6, "train": 10, "database": 21}
    assert splits[0].roles["validation"] != splits[1].roles["validation"]
    order = np.random.default_rng(9).permutation(40)
    assert make_split(pairs.take(order), num_validation=6, num_train=10) == splits[0]
    assert make_split(pairs, num_query=3, num_validation=6, num_train=10) == splits[0]
    done = apply_split(pairs, splits[0])
    assert {done.ids[row] for row in done.indices("query")} == {"item3", "item30", "item31"}


def test_make_split_another_number_than_the_fixed_raises(made_pairs):
    pairs = made_pairs(40, roles=["query"] * 4 + ["database"] * 36)
    with pytest.raises(ValueError, match="`made` fixes its 4 query items; .* num_query=5"):
        make_split(pairs, num_query=5)


def test_make_split_no_shared_label_raises(made_pairs):
    pairs = made_pairs(20, labels=np.eye(20), label_names=[str(each) for each in range(20)])
    with pytest.raises(ValueError, match="No two training items share a label.*several items"):
        make_split(pairs)


def test_make_split_data_set_without_labels_is_split_like_any_other(made_pairs):
    pairs = made_pairs(20, labels=np.zeros((20, 0)), label_names=[])
    assert make_split(pairs).roles == make_split(made_pairs(20)).roles


def test_apply_split_other_data_raises_with_both_checksums(made_pairs):
    split = make_split(made_pairs(40))
    other = made_pairs(41)
    with pytest.raises(ValueError) as error:
        apply_split(other, split)
    assert str(error.value) == (
        "The split was made of other data (of `made`, checksum "
        f"{split.data_checksum[:12]}); these pairs have checksum {other.checksum()[:12]}. "
        "Use the data the split was made of, or make a new split"
    )


def test_split_file_is_read_back_equal(written):
    path, split = written
    assert read_split(path) == split
    assert read_split(str(path)).checksum() == split.checksum()


def test_split_file_says_what_it_holds(written):
    path, split = written
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["format"] == 1
    assert content["seed"] == 3
    assert content["counts"] == sizes(split)
    assert content["checksum"] == split.checksum()


def test_split_checksum_covers_every_field():
    roles = {role: (role,) for role in ROLES}
    splits = [
        Split("a", 0, "c", roles),
        Split("b", 0, "c", roles),
        Split("a", 1, "c", roles),
        Split("a", 0, "d", roles),
        Split("a", 0, "c", {**roles, "train": ("other",)}),
    ]
    assert len({split.checksum() for split in splits}) == len(splits)


def swap_two_items(content):
    roles = content["roles"]
    roles["query"][0], roles["train"][0] = roles["train"][0], roles["query"][0]


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (swap_two_items, r"has been changed or damaged: its checksum is \w{12}, not \w{12}. Make"),
        (lambda content: content.update(seed=4), "has been changed or damaged"),
        (lambda content: content.update(checksum=5), "has been changed or damaged"),
        (lambda content: content.update(format=2), "has format 2, this version reads 1"),
        (lambda content: content.pop("seed"), r"is not a split file: KeyError\('seed'\)"),
        (lambda content: content.pop("format"), r"is not a split file: KeyError\('format'\)"),
        (lambda content: content["roles"].pop("query"), "is not a split file: KeyError"),
        (lambda content: content.update(roles=None), "is not a split file: TypeError"),
    ],
)
def test_read_split_tampered_file_raises(written, tamper, message):
    path, _ = written
    content = json.loads(path.read_text(encoding="utf-8"))
    tamper(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_split(path)


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{}", b"\xff\xfe", b"id,role\n1,train\n"])
def test_read_split_not_a_split_file_raises_with_the_path(tmp_path, data):
    path = tmp_path / "split.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"split\.json is not a split file: "):
        read_split(path)


def test_read_split_missing_file_raises_with_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no split file .*absent\.json"):
        read_split(tmp_path / "absent.json")
