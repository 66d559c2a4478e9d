import csv
import io
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from udsph_tf.data import fashion
from udsph_tf.data.fashion import keep_common_articles, read_fashion, read_fashion_attributes
from udsph_tf.data.images import load_pixels, read_image
from udsph_tf.data.splits import make_split

COLUMNS = (
    "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    "productDisplayName"
)


def row(item, sub="Topwear", article="Shirts", name="A shirt", colour="Blue"):
    return f"{item},Men,Apparel,{sub},{article},{colour},Fall,2011,Casual,{name}"


@pytest.fixture
def tree(tmp_path, photo, encode):
    """Function that writes Kaggle's layout with some rows, as a folder or with an archive."""

    def make(*rows, header=COLUMNS, pictures=("1", "2"), zipped=False, encoding="utf-8"):
        content = "\n".join([header, *rows]) + "\n"
        (tmp_path / "styles.csv").write_bytes(content.encode(encoding))
        data = encode(photo, "JPEG")
        if zipped:
            with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
                for item in pictures:
                    archive.writestr(f"deep/images/{item}.jpg", data)
        else:
            (tmp_path / "images").mkdir(exist_ok=True)
            for item in pictures:
                (tmp_path / "images" / f"{item}.jpg").write_bytes(data)
        return tmp_path

    return make


def test_read_fashion_rows_become_pairs(tree):
    root = tree(row(1), row(2, "Shoes", "Sandals", "Open shoes"))
    pairs, problems = read_fashion(root)
    assert problems == []
    assert pairs.name == "fashion"
    assert pairs.ids.tolist() == ["1", "2"]
    assert pairs.texts.tolist() == ["A shirt", "Open shoes"]
    assert pairs.images.tolist() == [str(root / "images" / f"{item}.jpg") for item in "12"]
    assert pairs.label_names == (
        "articleType=Sandals",
        "articleType=Shirts",
        "subCategory=Shoes",
        "subCategory=Topwear",
    )
    assert pairs.labels.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]


@pytest.mark.parametrize("zipped", [False, True])
def test_read_fashion_pictures_of_folder_and_archive_can_be_read(tree, zipped):
    pairs, _ = read_fashion(str(tree(row(1), row(2), zipped=zipped)))
    first, second = (load_pixels(read_image(source), 8) for source in pairs.images)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("zipped", [False, True])
def test_read_fashion_absent_picture_is_found_when_it_is_read(tree, zipped):
    pairs, problems = read_fashion(tree(row(1), row(3), zipped=zipped))
    assert problems == []
    with pytest.raises(ValueError, match=r"the file does not exist|no member 3\.jpg in .*\.zip"):
        read_image(pairs.images[1])


def test_read_fashion_names_shared_between_groups_are_kept_apart(tree):
    # Kaggle's table really has "Wallets" as a subCategory and as an articleType.
    pairs, _ = read_fashion(tree(row(1, "Wallets", "Wallets"), row(2, "Bags", "Wallets")))
    assert pairs.label_names == ("articleType=Wallets", "subCategory=Bags", "subCategory=Wallets")
    assert pairs.labels.tolist() == [[1, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("nothing", ["", "NA", "nan", "  ", " NA "])
def test_read_fashion_missing_field_is_a_problem_that_names_it(tree, nothing):
    root = tree(row(1, colour=nothing), row(2), row(3, name=nothing))
    pairs, problems = read_fashion(root)
    assert pairs.ids.tolist() == ["2"]
    assert [(each.id, each.source, each.reason) for each in problems] == [
        ("1", f"{root / 'styles.csv'}, line 2", "the field baseColour is missing"),
        ("3", f"{root / 'styles.csv'}, line 4", "the field productDisplayName is missing"),
    ]


def test_read_fashion_short_row_is_a_problem_and_a_blank_one_is_nothing(tree):
    _, problems = read_fashion(tree(row(1), "", "2,Men,Apparel", ""))
    assert [(each.id, each.reason) for each in problems] == [
        ("2", "the field subCategory is missing")
    ]


def test_read_fashion_bare_commas_belong_to_the_last_field(tree):
    pairs, _ = read_fashion(tree(row(1, name="Shirt, blue, 3/4 sleeve")))
    assert pairs.texts.tolist() == ["Shirt, blue, 3/4 sleeve"]


def test_read_fashion_quoted_name_is_unquoted(tree):
    pairs, _ = read_fashion(tree(row(1, name='"Shirt, ""blue"""')))
    assert pairs.texts.tolist() == ['Shirt, "blue"']


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_read_fashion_unicode_with_or_without_mark_is_read(tree, encoding):
    pairs, _ = read_fashion(tree(row(1, name="Café Ünder 红"), encoding=encoding))
    assert pairs.texts.tolist() == ["Café Ünder 红"]


def test_read_fashion_columns_in_another_order_are_found_by_name(tree):
    header = ",".join(reversed(COLUMNS.split(",")))
    values = ",".join(reversed(row(1).split(",")))
    pairs, _ = read_fashion(tree(values, header=header))
    assert pairs.ids.tolist() == ["1"]
    assert pairs.texts.tolist() == ["A shirt"]


def test_read_fashion_missing_column_raises_with_its_name(tree):
    root = tree(row(1), header=COLUMNS.replace("articleType", "article"))
    with pytest.raises(ValueError, match=r"styles\.csv lacks the column articleType. Its columns"):
        read_fashion(root)
    (root / "styles.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"lacks the column id. Its columns are \[\]"):
        read_fashion(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"caf\xe9", r", line 3: not UTF-8 .*iconv"),
        (b'"' + b"x" * 200_000, " is not a CSV file in UTF-8: .* Download it again"),
    ],
)
def test_read_fashion_not_csv_in_utf8_raises_with_the_path(tree, line, message):
    root = tree(row(1))
    with (root / "styles.csv").open("ab") as file:
        file.write(line)
    with pytest.raises(ValueError, match=rf"styles\.csv{message}"):
        read_fashion(root)


def test_read_fashion_same_id_twice_raises(tree):
    with pytest.raises(ValueError, match="styles.csv: duplicate ids: 1. Every item"):
        read_fashion(tree(row(1), row(1)))


def test_read_fashion_no_table_raises_with_what_root_must_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no styles\.csv below .* `--root` must be"):
        read_fashion(tmp_path)


def test_read_fashion_folder_above_is_read_and_kaggles_second_copy_ignored(tree):
    given = tree(row(1), row(2))
    names = ("styles.csv", "images")
    for folder in ("archive", "archive/myntradataset"):
        (given / folder).mkdir()
        for name in names:
            copy = shutil.copytree if name == "images" else shutil.copy
            copy(given / name, given / folder / name)
    (given / "styles.csv").unlink()
    shutil.rmtree(given / "images")
    pairs, _ = read_fashion(given)
    assert pairs.images[0] == str(given / "archive/images/1.jpg")


def test_read_fashion_pictures_without_a_row_are_named(tree, caplog):
    read_fashion(tree(row(1), row(2), pictures=("1", "2", "3", "4")))
    assert re.search(r"2 pictures have no row in .*styles\.csv: 3, 4. Is it cut off", caplog.text)


def test_read_fashion_no_pictures_raises_with_both_names(tmp_path):
    (tmp_path / "styles.csv").write_text(COLUMNS + "\n")
    with pytest.raises(FileNotFoundError, match=r"neither .*images/ nor .*images\.zip"):
        read_fashion(tmp_path)


def test_read_fashion_cut_archive_raises_with_the_remedy(tree):
    root = tree(row(1), zipped=True)
    data = (root / "images.zip").read_bytes()
    (root / "images.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"images\.zip is not a complete zip.*download it again"):
        read_fashion(root)


def test_keep_common_articles_drops_rare_types_and_their_labels(tree, monkeypatch):
    monkeypatch.setattr(fashion, "_MIN_ARTICLE_ITEMS", 3)
    rows = [row(item) for item in range(3)]
    rows += [row(item, "Shoes", "Sandals") for item in range(3, 5)]
    rows += [row(5, "Shirts", "Shirts")]
    pairs, _ = read_fashion(tree(*rows))
    kept = keep_common_articles(pairs)
    assert kept.ids.tolist() == ["0", "1", "2", "5"]
    assert kept.label_names == ("articleType=Shirts", "subCategory=Shirts", "subCategory=Topwear")


def test_keep_common_articles_threshold_is_100_items_inclusive(tree):
    rows = [row(item) for item in range(100)]
    rows += [row(item, "Shoes", "Sandals") for item in range(100, 199)]
    kept = keep_common_articles(read_fashion(tree(*rows))[0])
    assert len(kept) == 100
    assert set(kept.label_names) == {"articleType=Shirts", "subCategory=Topwear"}


@pytest.mark.parametrize("rows", [[], [row(1)]])
def test_keep_common_articles_nothing_common_raises_with_the_remedy(tree, rows):
    pairs, _ = read_fashion(tree(*rows))
    with pytest.raises(ValueError, match="No articleType has 100 usable items.*`manifest`"):
        keep_common_articles(pairs)


def test_read_fashion_real_data_has_the_known_numbers(real_data):
    root = real_data("fashion")
    with (root / "styles.csv").open(encoding="utf-8", newline="") as file:
        assert sum(1 for _ in csv.reader(file)) - 1 == 40_441
    pairs, problems = read_fashion(root)
    assert len(pairs) == 40_125
    assert len(problems) == 316
    kept = keep_common_articles(pairs)
    assert len(kept) == 37_983
    assert len(kept.label_names) == 77
    assert (kept.labels.sum(axis=1) == 2).all()
    groups = kept.label_groups()
    assert kept.labels[:, groups["articleType"]].sum(axis=0).min() >= 100


def test_read_fashion_real_pictures_decode_grey_and_odd_sizes_too(real_data):
    pairs, _ = read_fashion(real_data("fashion"))
    kinds = set()
    for source in pairs.images[:: len(pairs) // 300]:
        data = read_image(source)
        with Image.open(io.BytesIO(data)) as header:
            kinds.add((header.format, header.size))
        assert load_pixels(data, 32).shape == (32, 32, 3)
    assert ("JPEG", (60, 80)) in kinds


def test_read_fashion_attributes_same_items_and_split_four_labels_each(real_data):
    plain, attributes = (
        keep_common_articles(read(real_data("fashion"))[0])
        for read in (read_fashion, read_fashion_attributes)
    )
    assert attributes.ids.tolist() == plain.ids.tolist()
    assert (attributes.labels.sum(axis=1) == 4).all()
    assert set(attributes.label_groups()) == {"articleType", "baseColour", "gender", "usage"}
    sizes = {"num_query": 2000, "num_validation": 2000}
    assert make_split(attributes, **sizes).roles == make_split(plain, **sizes).roles
