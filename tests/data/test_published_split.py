import json

import numpy as np
import pytest
from scipy.io import savemat

from udsph_tf.data import make_split, write_split
from udsph_tf.data.published_split import published_roles, with_roles

# Of 12 items the literature asks with three and trains on four of the others.
QUERY, TRAIN = [0, 5, 11], [1, 2, 3, 4]
REST = [1, 2, 3, 4, 6, 7, 8]
EXPECTED = {
    **{f"item{n}": "query" for n in QUERY},
    **{f"item{n}": "train" for n in TRAIN},
    **{f"item{n}": "database" for n in (6, 7, 8)},
}


def numbers(first):
    return {
        name: np.array(rows) + first for name, rows in zip("qtr", (QUERY, TRAIN, REST), strict=True)
    }


def write_mat(path, first):
    found = numbers(first)
    savemat(
        path / "split.mat",
        {
            "indexQuery": found["q"].astype(float),
            "indexTrain": found["t"].reshape(-1, 1),
            "indexRetrieval": found["r"],
            "bits": 16,
        },
    )
    return path / "split.mat"


def write_folder(path, first):
    found = numbers(first)
    savemat(path / "idx_test.mat", {"index": found["q"]})
    np.save(path / "train_idx.npy", found["t"])
    (path / "database_ind.txt").write_text("\r\n".join(map(str, found["r"])) + "\r\n")
    (path / "README.txt").write_text("about")
    return path


def write_npz(path, first):
    found = numbers(first)
    np.savez(path / "split.npz", query=found["q"], train=found["t"], database=found["r"])
    return path / "split.npz"


@pytest.mark.parametrize("write", [write_mat, write_folder, write_npz])
@pytest.mark.parametrize("first", [0, 1])
def test_published_roles_rows_of_every_form(made_pairs, tmp_path, write, first):
    path = write(tmp_path, first)
    roles = published_roles(path, made_pairs(12), f"rows_from_{first}")
    assert roles == EXPECTED
    kept = with_roles(made_pairs(12), roles)
    assert len(kept) == 10
    split = make_split(kept, num_validation=1, seed=3)
    assert {role: len(ids) for role, ids in split.roles.items()} == {
        "train": 4,
        "database": 2,
        "validation": 1,
        "query": 3,
    }


def test_published_roles_ids_and_file_names_and_numbers_mean_the_same(made_pairs, tmp_path):
    (tmp_path / "query.txt").write_text("item3.jpg\n\nfolder\\item4.jpg\nitem5\n6\n")
    roles = published_roles(tmp_path, made_pairs(12))
    assert [item for item, role in roles.items() if role == "query"] == [
        f"item{n}" for n in (3, 4, 5, 6)
    ]
    assert list(roles.values()).count("database") == 8


def test_published_roles_split_of_another_run(made_pairs, tmp_path):
    split = make_split(made_pairs(40), num_train=20, seed=3)
    write_split(tmp_path / "split.json", split)
    roles = published_roles(tmp_path / "split.json", made_pairs(40))
    again = make_split(with_roles(made_pairs(40), roles), seed=9)
    assert again.roles == split.roles


def test_published_roles_karpathys_file(made_pairs, tmp_path):
    images = [
        {"filename": "x.jpg", "cocoid": n, "split": part}
        for n, part in enumerate(["train", "restval", "val", "test"])
    ]
    path = tmp_path / "dataset_coco.json"
    path.write_text(json.dumps({"images": images}))
    roles = published_roles(path, made_pairs(12))
    assert [roles[f"item{n}"] for n in range(5)] == [
        "train",
        "train",
        "validation",
        "query",
        "database",
    ]


@pytest.mark.parametrize(
    ("files", "numbers", "message"),
    [
        ({"query.txt": "77\n"}, "ids", "1 of 1 query items are not among the 12 items of made: 77"),
        ({"query.txt": "12\n"}, "rows_from_0", "1 of 1 query items are not among"),
        ({"query.txt": "0\n"}, "rows_from_1", "Is data.split_numbers=rows_from_1 right"),
        ({"query.txt": "3\n", "database.txt": "3\n4\n"}, "ids", r"item3 \(query\). Held-back"),
        ({"query.txt": "3\n3\n"}, "ids", r"there twice .* item3 \(query\)"),
        ({"train.txt": "3\n4\n"}, "ids", "lists no query items. It lists train"),
        ({"query.txt": "3\n", "test.txt": "4\n"}, "ids", "both query.txt and test.txt seem to"),
        ({"some.txt": "3\n"}, "ids", "nothing named after a role .* it has some.txt"),
    ],
)
def test_published_roles_that_do_not_fit_raise(made_pairs, tmp_path, files, numbers, message):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        published_roles(tmp_path, made_pairs(12), numbers)


def test_published_roles_with_rows_left_out_of_the_data(made_pairs, tmp_path):
    (tmp_path / "query.txt").write_text("3\n12\n")
    roles = published_roles(tmp_path, made_pairs(12), left_out=["item12"])
    assert (roles["item3"], "item12" in roles) == ("query", False)
    with pytest.raises(
        ValueError, match="rows cannot be counted, for 1 items were left out: item12"
    ):
        published_roles(tmp_path, made_pairs(12), "rows_from_0", left_out=["item12"])


@pytest.mark.parametrize("name", ["split.npz", "split.mat", "split.json", "query.npy"])
def test_published_roles_damaged_file_raises_with_the_path(made_pairs, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    path = tmp_path if name == "query.npy" else tmp_path / name
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        published_roles(path, made_pairs(12))


def test_published_roles_absent_or_unknown_file_raises(made_pairs, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no split"):
        published_roles(tmp_path / "absent.mat", made_pairs(12))
    (tmp_path / "query.csv").write_text("3\n")
    with pytest.raises(ValueError, match="must be a .json, .mat or .npz file, or a folder"):
        published_roles(tmp_path / "query.csv", made_pairs(12))
