"""The data sets of the literature on cross-modal retrieval, read as their authors distribute them.

Sizes of the splits are the literature's; `docs/data.md` tells where each layout is described.
"""

from functools import partial

from udsph_tf.data.coco import check_coco, read_coco
from udsph_tf.data.dataset import FROZEN_LITE0, Dataset
from udsph_tf.data.dcmh import check_dcmh, read_dcmh
from udsph_tf.data.flickr_captions import check_flickr_captions, read_flickr_captions
from udsph_tf.data.mirflickr25k import check_mirflickr25k, read_mirflickr25k
from udsph_tf.data.nuswide import check_nuswide, read_nuswide
from udsph_tf.data.pairs import Pairs

__all__ = ["LITERATURE"]

_TAG_WORDS = {"whole_words": True, "max_tokens": 32}
_MIRFLICKR_SPLIT = {"num_query": 2000, "num_validation": 2000, "num_train": 10_000}
_NUSWIDE_SPLIT = {"num_query": 2100, "num_validation": 2100, "num_train": 10_500}
_NUSWIDE = {
    "finish": Pairs.drop_unused_labels,
    "source": "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html",
    "size": "269,648 pictures, to be fetched from Flickr by their URLs, and the lists",
    "licence": "lists for research; each photo its owner's; do not redistribute",
    "layout": "Groundtruth/AllLabels/Labels_<concept>.txt, ImageList/Imagelist.txt, "
    "NUS_WID_Tags/AllTags1k.txt and TagList1k.txt, Flickr/<folder>/<name>.jpg (folders or zip "
    "archives)",
    "options": ("untagged",),
    "defaults": {"data": _NUSWIDE_SPLIT, "image": FROZEN_LITE0, "text": _TAG_WORDS},
}
_COCO = {
    "finish": Pairs.drop_unused_labels,
    "source": "https://cocodataset.org/#download",
    "licence": "annotations CC BY 4.0; each photo under its own Flickr licence",
    "defaults": {
        "data": {"num_query": 5000, "num_validation": 5000, "num_train": 10_000},
        "image": FROZEN_LITE0,
        # Five sentences of eleven words.
        "text": {"max_tokens": 80},
    },
    "options": ("captions",),
    "items": 122_218,
}
_CAPTIONED = {
    "finish": Pairs.drop_unused_labels,
    "defaults": {
        "data": {"captions": "each"},
        "image": FROZEN_LITE0,
        "text": {"max_tokens": 32},
    },
    "options": ("captions", "labels"),
    # Every term that asks for labels is off; an item is like its own sentences and nothing else.
    "unlabelled": {
        "loss": {
            "feature_similarity": 0.0,
            "code_similarity": 0.0,
            "cross_similarity": 0.0,
            "classification": 0.0,
            "quantization": 0.1,
            "bit_balance": 0.1,
            "instance": 1.0,
        },
        "training": {"label_epochs": 1},
    },
}
_MIRFLICKR = {
    "finish": Pairs.drop_unused_labels,
    "source": "https://press.liacs.nl/mirflickr/mirdownload.html: mirflickr25k.zip and "
    "mirflickr25k_annotations_v080.zip",
    "size": "25,000 pictures, 2.9 GB",
    "licence": "Creative Commons, each photo its own; for research; do not redistribute",
    "defaults": {"data": _MIRFLICKR_SPLIT, "image": FROZEN_LITE0, "text": _TAG_WORDS},
    "items": 20_015,
    "check": check_mirflickr25k,
}
_MIRFLICKR_LAYOUT = (
    "mirflickr/im<n>.jpg, mirflickr/meta/tags/tags<n>.txt and the annotations baby.txt, "
    "baby_r1.txt, ... (folders or zip archives)"
)

LITERATURE = {
    "mirflickr25k": Dataset(
        read=lambda data: read_mirflickr25k(data.root),
        layout=f"{_MIRFLICKR_LAYOUT}; labels: the 24 potential ones",
        **_MIRFLICKR,
    ),
    "mirflickr25k-38": Dataset(
        read=lambda data: read_mirflickr25k(data.root, relevant=True),
        layout=f"{_MIRFLICKR_LAYOUT}; labels: 24 potential, 14 relevant",
        **_MIRFLICKR,
    ),
    "dcmh": Dataset(
        read=lambda data: read_dcmh(data.root, untagged=data.untagged),
        finish=Pairs.drop_unused_labels,
        source="https://github.com/jiangqy/DCMH-CVPR2017 (its readme links the matrices)",
        size="tags and labels below 1 MB; pictures about 3 GB (MIRFlickr-25K)",
        licence="as the data sets they were made of; do not redistribute",
        layout="*yall.mat, *lall.mat and, for pictures, *iall.mat, or *fall.mat and the photos",
        defaults={"data": _MIRFLICKR_SPLIT, "image": FROZEN_LITE0, "text": _TAG_WORDS},
        options=("untagged",),
        check=check_dcmh,
    ),
    "nuswide-tc21": Dataset(
        read=lambda data: read_nuswide(data.root, num_concepts=21, untagged=data.untagged),
        items=195_834,
        check=partial(check_nuswide, num_concepts=21),
        **_NUSWIDE,
    ),
    "nuswide-tc10": Dataset(
        read=lambda data: read_nuswide(data.root, num_concepts=10, untagged=data.untagged),
        items=186_577,
        check=partial(check_nuswide, num_concepts=10),
        **_NUSWIDE,
    ),
    "coco2017": Dataset(
        read=lambda data: read_coco(data.root, 2017, captions=data.captions),
        size="train2017.zip 18 GB, val2017.zip 1 GB, annotations_trainval2017.zip 241 MB",
        layout="annotations/captions_train2017.json, instances_train2017.json, the same for "
        "val2017, train2017/ and val2017/ (folders or zip archives)",
        check=partial(check_coco, year=2017),
        **_COCO,
    ),
    "coco2014": Dataset(
        read=lambda data: read_coco(data.root, 2014, captions=data.captions),
        size="train2014.zip 13 GB, val2014.zip 6 GB, annotations_trainval2014.zip 241 MB",
        layout="as coco2017, with 2014 for 2017",
        check=partial(check_coco, year=2014),
        **_COCO,
    ),
    "flickr8k": Dataset(
        read=lambda data: read_flickr_captions(
            data.root, "flickr8k", captions=data.captions, labels=data.labels
        ),
        source="https://hockenmaier.cs.illinois.edu/8k-pictures.html (on request), or Kaggle: "
        "adityajn105/flickr8k",
        size="8,091 pictures, 1.1 GB",
        licence="for research; each photo its owner's; do not redistribute",
        layout="Flickr8k.token.txt (or captions.txt), Flickr_8k.trainImages.txt, .devImages.txt, "
        ".testImages.txt, Flicker8k_Dataset/*.jpg; no labels",
        check=partial(check_flickr_captions, name="flickr8k"),
        **_CAPTIONED,
    ),
    "flickr30k": Dataset(
        read=lambda data: read_flickr_captions(
            data.root, "flickr30k", captions=data.captions, labels=data.labels
        ),
        source="https://shannon.cs.illinois.edu/DenotationGraph (on request), or Kaggle: "
        "hsankesara/flickr-image-dataset; lists: Flickr30k Entities",
        size="31,783 pictures, 4.4 GB",
        licence="for research; each photo its owner's; do not redistribute",
        layout="results_20130124.token (or results.csv, captions.txt), train.txt, val.txt, "
        "test.txt (or dataset_flickr30k.json), flickr30k-images/*.jpg; no labels",
        check=partial(check_flickr_captions, name="flickr30k"),
        **_CAPTIONED,
    ),
}
