"""Tiny hashers on drawn numbers, and a small data set of drawn pictures."""

import csv

import keras
import numpy as np
import pytest
from eager_steps import eager_steps
from PIL import Image, ImageDraw

from udsph_tf.config import Config, LossConfig, override
from udsph_tf.networks import image_hasher, label_net, text_hasher
from udsph_tf.training import UDSPH

SIZES = {"num_bits": 16, "num_labels": 5, "hidden_dim": 12, "feature_dim": 8, "local_dim": 6}

# Every term, each with a weight of its own.
LOSS = LossConfig(
    feature_similarity=1.0,
    code_similarity=2.0,
    cross_similarity=0.5,
    classification=1.0,
    quantization=0.2,
    bit_balance=0.3,
    instance=0.25,
    adversarial=0.1,
    local=0.4,
    similarity_form="levels",
    gradient_penalty=1.0,
)

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 60), "blue": (40, 60, 220)}
SHAPES = ("circle", "square", "triangle")

CONFIG = {
    "image": {"body": "small_cnn", "size": 32, "trainable": True, "augment": True},
    "text": {
        "body": "wordpiece",
        "vocabulary_size": 100,
        "max_tokens": 5,
        "embedding_dim": 16,
        "trainable": True,
        "word_dropout": 0.1,
    },
    "network": {"num_bits": 16, "hidden_dim": 32, "feature_dim": 16, "local_dim": 8},
    "loss": {"adversarial": 0.02, "local": 0.1, "gradient_penalty": 1.0, "instance": 0.1},
    "training": {
        "batch_size": 24,
        "label_epochs": 2,
        "separate_epochs": 2,
        "joint_epochs": 2,
        "refine_epochs": 2,
        "refine_mixup": 1.0,
    },
}


@pytest.fixture
def eagerly(monkeypatch):
    """The runs of the test make their steps eagerly."""
    eager_steps(monkeypatch.setattr)


@pytest.fixture
def loss_config():
    """Weights of every term."""
    return LOSS


@pytest.fixture
def make_model():
    """Function that builds a tiny UDSPH on inputs as two bodies would give them."""

    def make(loss=LOSS, dropout=0.0, seed=0, kind=UDSPH):
        keras.utils.set_random_seed(seed)
        labels = make_labels(24)
        anchors, counts = np.unique(labels, axis=0, return_counts=True)
        return kind(
            image_hasher((2, 2, 7), 9, dropout=dropout, **SIZES),
            text_hasher((3, 7), 7, dropout=dropout, **SIZES),
            label_net(5, num_bits=16, hidden_dim=12, feature_dim=8),
            anchors,
            counts,
            loss,
            name="udsph",
        )

    return make


@pytest.fixture
def batch():
    """Inputs and labels of 24 items, whose inputs say something of their labels."""
    return draw_batch()


@pytest.fixture(scope="session")
def sizes():
    """Sizes of the tiny hashers."""
    return SIZES


@pytest.fixture(scope="session")
def all_terms():
    """As `loss_config`, for what a module's tests share."""
    return LOSS


@pytest.fixture(scope="session")
def drawn_batch():
    """As `batch`, for what a module's tests share. Not to be changed."""
    return draw_batch()


def draw_batch():
    rng = np.random.default_rng(1)
    labels = make_labels(24)
    seen = labels @ rng.normal(size=(5, 28)) + 0.1 * rng.normal(size=(24, 28))
    read = labels @ rng.normal(size=(5, 21)) + 0.1 * rng.normal(size=(24, 21))
    mask = np.ones((24, 3))
    mask[::3, 2] = 0
    inputs = {
        "image": {"feature_map": seen.reshape(24, 2, 2, 7), "pooled": seen[:, :9]},
        "text": {"word_map": read.reshape(24, 3, 7), "word_mask": mask, "pooled": read[:, :7]},
    }
    inputs = {
        modality: {name: value.astype(np.float32) for name, value in arrays.items()}
        for modality, arrays in inputs.items()
    }
    return inputs, labels


def make_labels(number):
    """Label sets of one or two of five labels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((number, 5), np.float32)
    labels[np.arange(number), rng.integers(0, 4, number)] = 1
    labels[::2, 4] = 1
    return labels


@pytest.fixture(scope="session")
def draw_pictures():
    """Function that draws coloured shapes into a folder, with a manifest."""

    def draw(folder, number=60):
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        rows = []
        for item in range(number):
            colour, shape = list(COLOURS)[item % 3], SHAPES[item // 3 % 3]
            picture = Image.new("RGB", (64, 64), "white")
            pen, fill = ImageDraw.Draw(picture), COLOURS[colour]
            left, top, size = (int(each) for each in rng.integers((4, 4, 24), (24, 24, 36)))
            right, bottom = left + size, top + size
            if shape == "circle":
                pen.ellipse((left, top, right, bottom), fill=fill)
            elif shape == "square":
                pen.rectangle((left, top, right, bottom), fill=fill)
            else:
                corners = [(left, bottom), (right, bottom), ((left + right) // 2, top)]
                pen.polygon(corners, fill=fill)
            picture.save(folder / f"{item:02d}.png")
            rows.append((f"{item:02d}.png", f"{colour} {shape}", f"colour={colour}|shape={shape}"))
        with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image", "text", "labels"), *rows])
        return folder

    return draw


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, draw_pictures):
    """A folder of sixty drawn pictures."""
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def make_config(pictures):
    """Function from tables to a small configuration for the drawn pictures."""

    def make(tables=None, root=pictures):
        data = {"dataset": "manifest", "root": str(root)}
        return override(override(Config(), {"data": data, **CONFIG}), tables or {})

    return make
