"""Small trees in the layout of official downloads, to the letter: names, encodings, line ends."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from udsph_tf.data.mirflickr25k import POTENTIAL, RELEVANT
from udsph_tf.data.nuswide import CONCEPTS

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 60), "blue": (40, 60, 220)}


def jpeg(number, side=24):
    """A JPEG file of one of three colours."""
    buffer = io.BytesIO()
    shade = np.full((side, side, 3), list(COLOURS.values())[number % 3], np.uint8)
    shade[: number % side] //= 2
    Image.fromarray(shade).save(buffer, "JPEG")
    return buffer.getvalue()


def write(path, content):
    """Write text or bytes; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


def mirflickr(root, number=48):
    """`mirflickr/` and the flat annotations, with Windows line ends as in the original.

    Picture n has the tags of n modulo 2 (frequent), a rare one, and the potential labels `sky`
    (every third), `tree` and `tree_r1` (every fourth). Of the last four, two have no frequent tag
    and two no label; the last one has every other label, so that no list is empty.
    """
    rows = range(1, number + 1)
    last = number - 4
    for n in rows:
        tags = ["nikon", "blauerhimmel" if n % 2 else "tree"] if n <= last + 2 else []
        tags.append(f"rare{n}")
        write(root / f"mirflickr/im{n}.jpg", jpeg(n))
        write(root / f"mirflickr/meta/tags/tags{n}.txt", "\r\n".join([*tags, ""]))
        # The raw tags and the picture's data have files of the same names.
        write(root / f"mirflickr/meta/tags_raw/tags{n}.txt", "Nikon D80\r\n")
    lists = {name: [] for name in POTENTIAL}
    lists |= {f"{name}_r1": [] for name in RELEVANT}
    for n in [*range(1, last + 1), number - 1, number]:
        lists["sky" if n % 3 else "water"].append(n)
        if n % 4 == 0:
            lists["tree"].append(n)
            lists["tree_r1"] += [n] * (n % 8 == 0)
    write(root / "mirflickr/doc/common_tags.txt", "nikon 46\r\ntree 23\r\nblauerhimmel 23\r\n")
    for name, numbers in lists.items():
        if number not in numbers:
            numbers.append(number)
        write(root / f"annotations/{name}.txt", "".join(f"{n} \r\n" for n in numbers))
    write(root / "annotations/README.txt", "MIRFLICKR-25000 annotations")
    return root


def nuswide(root, number=60):
    """The lists and pictures of NUS-WIDE; every picture has one or two of 22 concepts.

    The first four are the most frequent, the 22nd is more so than the 21st. Picture 7 has another
    concept alone; pictures 5, 15, ... have no tag.
    """
    names = [f"{CONCEPTS[n % 7]}\\{n:04d}_{2124494179 + n}.jpg" for n in range(number)]
    labels = np.zeros((number, len(CONCEPTS)), int)
    for n in range(number):
        labels[n, min(n % 23, 21)] = 1
        labels[n, n % 4] = 1
    labels[7] = 0
    labels[7, 60] = 1
    tags = np.zeros((number, 1000), int)
    for n in range(number):
        if n % 10 != 5:
            tags[n, [n % 3, 10 + n % 5, 999]] = 1
    for column, concept in enumerate(CONCEPTS):
        lines = "".join(f"{value}\n" for value in labels[:, column])
        write(root / f"Groundtruth/AllLabels/Labels_{concept}.txt", lines)
        write(root / f"Groundtruth/TrainTestLabels/Labels_{concept}_Train.txt", "-1130179\n")
    # The matrix has a tab after every number, also the last one of a line.
    write(
        root / "NUS_WID_Tags/AllTags1k.txt",
        "".join("\t".join(map(str, row)) + "\t\r\n" for row in tags),
    )
    words = [f"word{column}" for column in range(1000)]
    write(root / "NUS_WID_Tags/TagList1k.txt", "".join(f"{word} \r\n" for word in words))
    write(root / "ImageList/Imagelist.txt", "".join(f"{name}\r\n" for name in names))
    write(root / "ImageList/TrainImagelist.txt", f"{names[0]}\r\n")
    for n, name in enumerate(names):
        write(root / "Flickr" / name.replace("\\", "/"), jpeg(n))
    return root


def coco(root, year=2017, train=40, val=8, zipped=False):
    """`annotations/` and the pictures; every tenth picture has no object."""
    for part, first, number in (("train", 1, train), ("val", 1001, val)):
        split, images, captions, objects = f"{part}{year}", [], [], []
        before = f"COCO_{split}_" if year == 2014 else ""
        pictures = {}
        for n in range(first, first + number):
            name = f"{before}{n:012d}.jpg"
            images.append({"license": 3, "file_name": name, "height": 24, "width": 24, "id": n})
            pictures[name] = jpeg(n)
            colour = list(COLOURS)[n % 3]
            for k in range(5):
                text = f"A {colour} field number {k}.\n" if k else f" A {colour} thing. "
                captions.append({"image_id": n, "id": 10 * n + 4 - k, "caption": text})
            if n % 10:
                for category in {1 + n % 3, 1 + n % 2}:
                    objects.append(
                        {
                            "segmentation": [[1.5, 2.0, 3.25, 4.0]],
                            "area": 70.5,
                            "iscrowd": 0,
                            "image_id": n,
                            "bbox": [1.0, 2.0, 3.0, 4.0],
                            "category_id": category,
                            "id": 100 * n + category,
                        }
                    )
        # Sentences of a picture are not beside each other in the original.
        captions.sort(key=lambda each: each["id"] % 7)
        info = {"info": {"year": year}, "licenses": [], "images": images}
        kinds = [
            {"supercategory": "s", "id": c, "name": f"kind{c}"}
            for c in sorted({*range(1, 91)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
        ]
        write(
            root / f"annotations/captions_{split}.json",
            json.dumps({**info, "annotations": captions}),
        )
        write(
            root / f"annotations/instances_{split}.json",
            json.dumps({**info, "annotations": objects, "categories": kinds}),
        )
        if zipped:
            with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
                archive.writestr(f"{split}/", b"")
                for name, data in pictures.items():
                    archive.writestr(f"{split}/{name}", data)
        else:
            for name, data in pictures.items():
                write(root / split / name, data)
    return root


def flickr8k(root, number=40):
    """Sentences, lists and pictures; the last two pictures are in no list."""
    names = [f"{1000268201 + n}_693b08cb0e.jpg" for n in range(number)]
    lines = []
    for n, name in enumerate(names):
        colour = list(COLOURS)[n % 3]
        lines += [f"{name}#{k}\tA {colour} field , number {k} of {n} .\n" for k in range(5)]
        write(root / "Flicker8k_Dataset" / name, jpeg(n))
    lines += [f"2258277193_586949ec62.jpg.1#{k}\tA man and a bike .\n" for k in range(5)]
    text = root / "Flickr8k_text"
    write(text / "Flickr8k.token.txt", "".join(lines))
    write(text / "Flickr8k.lemma.token.txt", "".join(lines))
    for part, rows in (("train", slice(0, 26)), ("dev", slice(26, 32)), ("test", slice(32, -2))):
        lines = "".join(f"{name}\n" for name in names[rows])
        write(text / f"Flickr_8k.{part}Images.txt", lines)
    return root


def flickr30k(root, number=30):
    """Kaggle's form: one folder more, separators of Kaggle, the one broken row, no list."""
    inner = root / "flickr30k_images"
    rows = ["image_name| comment_number| comment\n"]
    for n in range(number):
        name = f"{1000092795 + n}.jpg"
        rows += [f"{name}| {k}| A {list(COLOURS)[n % 3]} dog , number {k} .\n" for k in range(4)]
        rows.append(f"{name}| 4   A dog runs across the grass .\n")
        write(inner / "flickr30k_images" / name, jpeg(n))
    write(inner / "results.csv", "".join(rows))
    write(inner / "flickr30k_images/results.csv", "".join(rows))
    return root


def label_file(path, labels):
    """The user's CSV file of labels."""
    buffer = io.StringIO()
    table = csv.writer(buffer)
    table.writerows([("id", "labels"), *((item, "|".join(each)) for item, each in labels.items())])
    write(path, buffer.getvalue())
    return path
