import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from udsph_tf.data import make_split
from udsph_tf.data.dcmh import check_dcmh, read_dcmh
from udsph_tf.data.images import ImageError, load_pixels, read_image, source_fingerprint
from udsph_tf.data.mat_file import MatFile

TAGS = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.uint8)
LABELS = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)


def pictures():
    """Three pictures of two halves, 4 high and 6 wide, as (n, h, w, 3)."""
    made = np.zeros((3, 4, 6, 3), np.uint8)
    made[:, :, :3] = [[[[250, 10, 10]]], [[[10, 250, 10]]], [[[10, 10, 250]]]]
    return made


def save(path, version, **arrays):
    """A MATLAB file of version 5, or of 7.3 as MATLAB lays it out: axes reversed and marked."""
    if version == 5:
        savemat(path, arrays)
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            stored = file.create_dataset(name, data=np.asarray(array).T)
            stored.attrs["MATLAB_class"] = np.bytes_(str(array.dtype))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


@pytest.fixture(params=[5, 7.3])
def version(request):
    return request.param


@pytest.fixture
def tree(tmp_path):
    """Function that writes the matrices, some replaced or, where None, left out."""

    def make(version=5, **changes):
        arrays = {"yall": {"YAll": TAGS}, "lall": {"LAll": LABELS}, **changes}
        for name, variables in arrays.items():
            if variables is not None:
                save(tmp_path / f"mirflickr25k-{name}.mat", version, **variables)
        return tmp_path

    return make


def test_read_dcmh_texts_and_labels_alone(tree, version):
    pairs, problems = read_dcmh(tree(version))
    assert problems == []
    assert pairs.ids.tolist() == ["0", "1", "2"]
    assert pairs.texts.tolist() == ["tag0000 tag0003", "tag0001", ""]
    assert pairs.labels.tolist() == LABELS.tolist()
    assert pairs.images.tolist() == ["", "", ""]
    assert len(read_dcmh(tree(version), untagged="skip")[0]) == 2


@pytest.mark.parametrize("axes", [(1, 2, 3, 0), (0, 1, 2, 3), (0, 3, 1, 2)])
def test_read_dcmh_pictures_of_every_order_of_axes_are_read(tree, version, axes):
    root = tree(version, iall={"IAll": pictures().transpose(axes)})
    pairs, _ = read_dcmh(root)
    source = pairs.images[1]
    assert source == f"mat:{root}/mirflickr25k-iall.mat!1"
    pixels = load_pixels(read_image(source), 32)
    assert pixels[16, 4].tolist() == [10, 250, 10]
    assert pixels[16, 28].tolist() == [0, 0, 0]
    assert source_fingerprint(source).startswith(f"{source}@")


def test_read_dcmh_one_file_whose_pictures_are_called_images(tmp_path, version):
    images = pictures().transpose(1, 2, 3, 0)
    save(tmp_path / "FLICKR-25K.mat", version, YAll=TAGS, LAll=LABELS, images=images)
    pairs, _ = read_dcmh(tmp_path)
    assert load_pixels(read_image(pairs.images[1]), 32)[16, 4].tolist() == [10, 250, 10]


def test_read_dcmh_pictures_go_before_vectors_of_them(tree):
    vectors = np.arange(15.0).reshape(3, 5)
    assert read_dcmh(tree(**{"xall-vgg": {"XAll": vectors}}))[0].images.shape == (3, 5)
    pairs, _ = read_dcmh(tree(iall={"IAll": pictures()}, **{"xall-vgg": {"XAll": vectors}}))
    assert pairs.images[0].startswith("mat:")


def test_read_image_of_a_matrix_that_holds_no_colours_raises(tree):
    root = tree(iall={"IAll": pictures().astype(np.float32) - 100})
    source = read_dcmh(root)[0].images[0]
    with pytest.raises(ImageError, match="IAll must hold colours of 0 to 255"):
        read_image(source)
    with pytest.raises(ImageError, match="cannot be read from the matrix"):
        read_image(source.replace("!0", "!9"))


def test_read_dcmh_feature_vectors_take_the_place_of_pictures(tree, version):
    pairs, _ = read_dcmh(tree(version, iall={"IAll": np.arange(15.0).reshape(3, 5)}))
    assert pairs.images.shape == (3, 5)


def test_read_dcmh_names_lead_to_the_photos(tree):
    names = np.array([["im7.jpg"], ["im9.jpg"], ["im11.jpg"]], object)
    root = tree(fall={"FAll": names})
    (root / "mirflickr").mkdir()
    (root / "mirflickr/im7.jpg").write_bytes(b"photo")
    pairs, _ = read_dcmh(root)
    assert pairs.ids.tolist() == ["im7", "im9", "im11"]
    assert pairs.images[0] == str(root / "mirflickr/im7.jpg")


def test_read_dcmh_row_without_label_is_a_problem(tree):
    pairs, problems = read_dcmh(tree(lall={"LAll": LABELS * [[1], [0], [1]]}))
    assert pairs.ids.tolist() == ["0", "2"]
    assert [each.id for each in problems] == ["1"]
    assert problems[0].source.endswith("mirflickr25k-lall.mat, row 1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lall": {"LAll": LABELS[:2]}}, r"yall.mat has 3 rows, but .*lall.mat has 2. Are both"),
        ({"yall": {"YAll": LABELS}, "lall": {"LAll": TAGS}}, "Were the files swapped"),
        ({"yall": {"Tags": TAGS}}, r"yall.mat has no variable YAll, but Tags. Were files swapped"),
        ({"lall": {"LAll": LABELS * 3}}, r"lall.mat, row 0: labels must be 0 or 1. Received: 0, 3"),
        ({"iall": {"IAll": pictures()[:2]}}, "IAll has 2 items, but the tags have 3"),
        ({"iall": {"IAll": np.zeros((3, 4, 4, 4))}}, "IAll must be height x width x 3 x n, or"),
        ({"more": {"YAll": TAGS}}, "YAll is both in .*folder of one data set"),
    ],
)
def test_read_dcmh_files_that_do_not_fit_raise(tree, changes, message):
    with pytest.raises(ValueError, match=message):
        read_dcmh(tree(**changes))


def test_read_dcmh_missing_file_raises_with_its_name(tree):
    with pytest.raises(FileNotFoundError, match=r"no \*lall\.mat with the variable LAll below"):
        read_dcmh(tree(lall=None))


@pytest.mark.parametrize("keep", [0, 60, 900])
def test_read_dcmh_cut_file_raises_with_the_path(tree, version, keep):
    path = tree(version) / "mirflickr25k-yall.mat"
    path.write_bytes(path.read_bytes()[: min(keep, path.stat().st_size - 10)])
    with pytest.raises(ValueError, match=r"yall\.mat.*(not a whole MATLAB file|cannot be read)"):
        read_dcmh(path.parent)


def test_mat_file_cells_of_matlab_73_are_strings(tmp_path):
    with h5py.File(tmp_path / "fall.mat", "w") as file:
        cells = file.create_dataset("FAll", (1, 2), dtype=h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        for column, name in enumerate(["im7.jpg", "im11.jpg"]):
            code = np.array([[ord(each)] for each in name], np.uint16)
            cells[0, column] = file.create_dataset(f"#refs#/{column}", data=code).ref
    assert MatFile(tmp_path / "fall.mat").strings("FAll") == ["im7.jpg", "im11.jpg"]


def test_read_dcmh_real_matrices_split_and_counted(real_data):
    root = real_data("mirflickr")
    pairs, problems = read_dcmh(root)
    sums = loadmat(root / "mirflickr25k-lall.mat")["LAll"].sum(axis=0)
    assert (len(pairs), problems) == (20_015, [])
    assert pairs.labels.sum(axis=0).tolist() == sums.tolist()
    assert dict(zip(pairs.label_names, sums, strict=True))["structures"] == 8463
    split = make_split(pairs, num_query=2000, num_validation=-1, num_train=10_000)
    assert {role: len(ids) for role, ids in split.roles.items()} == {
        "train": 10_000,
        "database": 8_015,
        "validation": 0,
        "query": 2_000,
    }
    assert all(each.is_right for each in check_dcmh(root))
