import made_downloads
import pytest

from udsph_tf.config import Config, DataConfig, override
from udsph_tf.config_sections import DATASETS
from udsph_tf.data import CATALOGUE, Pairs, check_dataset, read_pairs


def test_catalogue_has_the_data_sets_that_the_configuration_allows():
    assert tuple(sorted(CATALOGUE)) == tuple(sorted(DATASETS))


@pytest.mark.parametrize("name", CATALOGUE)
def test_catalogue_entry_says_source_licence_and_layout(name):
    entry = CATALOGUE[name]
    assert entry.source
    assert entry.licence
    assert entry.layout
    assert entry.size


@pytest.mark.parametrize("name", CATALOGUE)
def test_catalogue_defaults_are_a_valid_configuration(name):
    config = override(Config(), {"data": {"dataset": name}})
    config = override(config, CATALOGUE[name].defaults)
    config = override(config, CATALOGUE[name].unlabelled)
    assert config.data.dataset == name


def test_read_pairs_manifest_reads_the_root(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,text,labels\na.jpg,one,x\nb.jpg,,y\n")
    pairs, problems = read_pairs(DataConfig(dataset="manifest", root=str(tmp_path)))
    assert isinstance(pairs, Pairs)
    assert pairs.ids.tolist() == ["a.jpg"]
    assert [each.id for each in problems] == ["b.jpg"]


def test_read_pairs_manifest_finish_drops_labels_nobody_has(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,text,labels\na.jpg,one,x\nb.jpg,two,y\n")
    pairs, _ = read_pairs(DataConfig(dataset="manifest", root=str(tmp_path)))
    assert CATALOGUE["manifest"].finish(pairs.take([1])).label_names == ("y",)


def test_read_pairs_openmoji_needs_no_root():
    pairs, _ = read_pairs(DataConfig())
    assert pairs.name == "openmoji"


def test_read_pairs_openmoji_with_a_root_raises():
    with pytest.raises(ValueError, match="takes no `--root`"):
        read_pairs(DataConfig(root="somewhere"))


@pytest.mark.parametrize("name", ["fashion", "manifest", "mirflickr724", "wikipedia"])
def test_read_pairs_without_the_root_raises_with_its_layout(name):
    with pytest.raises(ValueError) as error:
        read_pairs(DataConfig(dataset=name))
    assert str(error.value) == (
        f"`{name}` needs --root, a folder with {CATALOGUE[name].layout}. `udsph datasets` lists "
        "what can be read"
    )


def test_read_pairs_unknown_data_set_raises_with_the_nearest():
    with pytest.raises(ValueError, match="Unknown data set `fashon`. Did you mean `fashion`?"):
        read_pairs(DataConfig(dataset="fashon"))


def test_read_pairs_absent_root_raises_with_the_path(tmp_path):
    for name in ("fashion", "manifest", "mirflickr724", "wikipedia"):
        with pytest.raises(FileNotFoundError, match="absent"):
            read_pairs(DataConfig(dataset=name, root=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    "option", [{"captions": "first"}, {"labels": "labels.csv"}, {"untagged": "skip"}]
)
def test_read_pairs_option_that_the_reader_would_ignore_raises(tmp_path, option):
    data = DataConfig(dataset="manifest", root=str(tmp_path), **option)
    with pytest.raises(ValueError, match="is for .*; `manifest` would ignore it"):
        read_pairs(data)


ABSENT = ["coco2014", "coco2017", "dcmh", "flickr8k", "flickr30k", "mirflickr25k", "nuswide-tc21"]


@pytest.mark.parametrize("name", ABSENT)
def test_read_pairs_empty_folder_raises_with_what_is_missing(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"There is no .* below {tmp_path}"):
        read_pairs(DataConfig(dataset=name, root=str(tmp_path)))


def test_check_dataset_counts_the_items_of_the_protocol(tmp_path):
    findings, problems = check_dataset("coco2017", str(made_downloads.coco(tmp_path)))
    assert problems == []
    assert (findings[-1].part, findings[-1].found) == ("items of the protocol", 44)
    assert findings[-1].expected == 122_218


def test_check_dataset_user_data_is_read_without_a_number_to_compare_with(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,text,labels\na.jpg,one,x\nb.jpg,,y\n")
    findings, problems = check_dataset("manifest", str(tmp_path))
    assert [str(each) for each in findings] == [
        "WRONG pictures of the items: 0, expected 1; 1 missing: a.jpg. Unpack the pictures, or "
        "download them again",
        "ok    items of the protocol: 1",
    ]
    assert [each.id for each in problems] == ["b.jpg"]


def test_check_dataset_that_cannot_be_read_still_names_what_was_found(tmp_path):
    root = made_downloads.mirflickr(tmp_path)
    (root / "annotations/lake.txt").unlink()
    findings, problems = check_dataset("mirflickr25k", str(root))
    assert {each.part: each for each in findings}["label lists"].missing == ("lake.txt",)
    assert problems[0].reason.startswith(f"There is no label list lake.txt below {root}")


def test_check_dataset_archive_that_is_cut_off_is_a_finding(tmp_path):
    root = made_downloads.coco(tmp_path)
    made_downloads.write(root / "train2017.zip", b"PK\x03\x04 half")
    findings, _ = check_dataset("coco2017", str(root))
    assert str(findings[0]).startswith(
        "WRONG archives that are cut off, and unfinished downloads: 1, expected 0; 1 extra: "
        "train2017.zip (File is not a zip file) cannot be read: download it again"
    )


def test_check_dataset_unknown_name_raises_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="Unknown data set `mscoco2017`. Did you mean `coco2017`"):
        check_dataset("mscoco2017", str(tmp_path))
