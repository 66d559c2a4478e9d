"""A drawn collection and what becomes of it: a run, an export and an index, each made once."""

import csv
import fcntl
import gc
import os
import random

# Before anything imports TensorFlow; the processes that tests start inherit it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image, ImageDraw

COLOURS = {"red": "#dd2222", "green": "#22aa22", "blue": "#2222dd", "yellow": "#dddd22"}
SHAPES = ("circle", "square", "triangle")
NUM_ITEMS = 84
PIXELS = 48

TINY = {
    "image": {"size": 32, "augment": False},
    "text": {"vocabulary_size": 200, "max_tokens": 8, "embedding_dim": 32},
    "network": {
        "num_bits": 16,
        "hidden_dim": 64,
        "feature_dim": 32,
        "local_dim": 16,
        "dropout": 0.1,
    },
    # Every term of the method: the tests look at attention too.
    "loss": {"local": 0.2, "adversarial": 0.01},
    "training": {
        "batch_size": 32,
        "learning_rate": 3e-3,
        "label_epochs": 10,
        "separate_epochs": 2,
        "joint_epochs": 12,
        "refine_epochs": 2,
    },
}


# The files that take longest, longest first: begun last, one would keep one worker busy alone.
# Of the first two only one needs the run below, so that no worker waits for the other to train it.
LONG_FILES = (
    "test_cli.py",
    "test_udsph.py",
    "test_fitting.py",
    "test_finetuning.py",
    "test_precision.py",
    "test_efficientnet_lite.py",
    "test_vectors.py",
    "test_replicas.py",
    "test_callbacks.py",
    "test_attending.py",
    "test_saved_model.py",
    "test_instances.py",
    "test_verify.py",
    "test_readme.py",
    "test_cut.py",
    "test_matconvnet.py",
)


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish():
    # Imported modules stay: no search for garbage need look through them again.
    gc.freeze()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Function that returns a folder, which `make(folder)` makes for all workers of pytest-xdist.

    The first worker to ask makes it; the others wait and only read it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def made(name, make):
        folder, done = root / name / "drawn", root / name / "done"
        folder.parent.mkdir(exist_ok=True)
        with open(root / name / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def drawn_collection(made_once):
    """Folder of a `manifest` data set: 84 drawn shapes, such as "a red circle".

    Only read it; copy it to change something.
    """
    return made_once("collection", _draw_collection)


def _draw_collection(folder):
    folder.mkdir()
    places = random.Random(0)
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "image", "text", "labels"])
        for number in range(NUM_ITEMS):
            colour = list(COLOURS)[number % len(COLOURS)]
            shape = SHAPES[number // len(COLOURS) % len(SHAPES)]
            name = f"{number:03d}.{'png' if number % 2 else 'jpg'}"
            _draw(shape, COLOURS[colour], places).save(folder / name)
            labels = f"shape={shape}|colour={colour}"
            rows.writerow([f"{number:03d}", name, f"a {colour} {shape}", labels])


@pytest.fixture(scope="session")
def made_wikipedia(tmp_path_factory):
    """Folder of a small `wikipedia` data set: 60 training and 20 test rows of three categories.

    Only read it; copy it to change something.
    """
    from scipy.io import savemat

    folder = tmp_path_factory.mktemp("vectors") / "wikipedia"
    folder.mkdir()
    categories, rng, features = ("art", "media", "sport"), np.random.default_rng(0), {}
    for part, name, number in (("tr", "train", 60), ("te", "test", 20)):
        hot = np.eye(3)[np.arange(number) % 3]
        for kind, dim in (("I", 12), ("T", 4)):
            counts = rng.poisson(1 + 20 * hot @ np.random.default_rng(dim).random((3, dim)))
            features[f"{kind}_{part}"] = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
        lines = [f"{name}-{row}\tpicture-{row}\t{row % 3 + 1}\n" for row in range(number)]
        (folder / f"{name}set_txt_img_cat.list").write_text("".join(lines))
    savemat(folder / "raw_features.mat", features)
    (folder / "categories.list").write_text("\n".join(categories) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_config(drawn_collection):
    """Configuration of a run on the drawn collection that takes seconds."""
    from udsph_tf.config import Config, override

    data = {"dataset": "manifest", "root": str(drawn_collection)}
    return override(Config(), {"data": data, **TINY})


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """Folder of caches for runs on the drawn collection."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_run(tiny_config, tiny_cache, made_once):
    """`RunFolder` of a finished run on the drawn collection. Only read it; copy it to change it."""
    from udsph_tf.training import RunFolder, fit

    return RunFolder(made_once("run", lambda folder: fit(tiny_config, folder, tiny_cache)))


@pytest.fixture(scope="session")
def tiny_pairs(tiny_run):
    """All 84 pairs of the drawn collection, with their roles."""
    from udsph_tf.training.material import run_pairs

    return run_pairs(tiny_run)


@pytest.fixture(scope="session")
def tiny_export(tiny_run, tiny_pairs, made_once):
    """Export folder of `tiny_run`. Only read it; copy it to change something."""
    from udsph_tf.export import export

    held_back, train = (tiny_pairs.take(tiny_pairs.indices(role)) for role in ("query", "train"))
    return made_once(
        "export",
        lambda folder: export(
            tiny_run, folder, held_back, train, calibration_items=8, golden_items=3
        ),
    )


@pytest.fixture(scope="session")
def tiny_index(tiny_export, tiny_pairs, made_once):
    """Index folder of the whole drawn collection, encoded by `tiny_export`."""
    from udsph_tf.serving import index_pairs

    return made_once("index", lambda folder: index_pairs(tiny_pairs, tiny_export, folder))


def _draw(shape: str, colour: str, places: random.Random) -> Image.Image:
    left, top, side = places.randint(2, 8), places.randint(2, 8), places.randint(26, 36)
    right, bottom = left + side, top + side
    picture = Image.new("RGB", (PIXELS, PIXELS), "white")
    pen = ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=colour)
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), fill=colour)
    else:
        pen.polygon([(left, bottom), (left + side / 2, top), (right, bottom)], fill=colour)
    return picture
