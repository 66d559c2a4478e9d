"""Items with a picture and words to their three codes: of the picture, of the words, of both."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from udsph_tf.artefacts import read_manifest
from udsph_tf.codes import fuse, pack
from udsph_tf.data.decoding import decode_pictures
from udsph_tf.data.pairs import Pairs, Problem, holds_vectors
from udsph_tf.search import Item
from udsph_tf.serving.encoders import ImageEncoder, TextEncoder

__all__ = ["EncodedItems", "ItemEncoder", "items_of"]

_BATCH = 256


@dataclass(frozen=True)
class EncodedItems:
    """Items and their codes, and the items that have none.

    Args:
        items: n items whose picture could be used, in their order.
        codes: (n, num_bits / 8) uint8 by modality: `image`, `text` and `fused`.
        problems: the items left out, and why.
    """

    items: list[Item]
    codes: dict[str, np.ndarray]
    problems: list[Problem]


class ItemEncoder:
    """Both encoders of an export, over any number of items, on every core.

    Args:
        artefacts: the export folder.
        variant: "float32" (LiteRT, fast on CPUs), or "saved_model" (TensorFlow, for accelerators).

    Raises:
        FileNotFoundError: there is no export.
        ValueError: a file is missing or has been changed.
    """

    def __init__(self, artefacts: str | os.PathLike, variant: str = "float32"):
        self._images, self._texts = (
            ImageEncoder(artefacts, variant),
            TextEncoder(artefacts, variant),
        )
        self.model_checksum = self._images.model_checksum
        self.num_bits = self._images.num_bits
        loss = read_manifest(artefacts)["config"]["loss"]
        self.nested = [int(each) for each in loss.get("nested", "").split(",") if each.strip()]
        """Lengths that the model was trained to be cut to."""

    def encode(
        self, items: Sequence[Item], progress: Callable[[int], object] = lambda number: None
    ) -> EncodedItems:
        """Encode items; pictures are decoded while those before them run through the network.

        Args:
            items: what to encode.
            progress: told, again and again, how many more items are done.
        """
        sources = [item.image for item in items]
        kept: list[int] = []
        failed: dict[int, str] = {}
        outputs = []
        start = 0
        for pixels, reasons in decode_pictures(sources, self._images.size, _BATCH):
            good = [row for row in range(start, start + len(pixels)) if row not in reasons]
            failed |= reasons
            if good:
                kept += good
                usable = pixels[np.array(good) - start] if reasons else pixels
                outputs.append(self._images.run_pixels(usable))
            start += len(pixels)
            progress(len(pixels))
        image = {
            name: np.concatenate([empty, *(each[name] for each in outputs)])
            for name, empty in self._images.run([]).items()
        }
        text = self._texts.run([items[row].text for row in kept])
        return EncodedItems(
            items=[items[row] for row in kept],
            codes={
                "image": image["packed"],
                "text": text["packed"],
                "fused": pack(fuse(image["hash"], text["hash"])),
            },
            problems=[Problem(items[row].id, items[row].image, why) for row, why in failed.items()],
        )


def items_of(pairs: Pairs) -> list[Item]:
    """The items of a collection; their labels become metadata.

    `colour=red` becomes the value `red` of `colour`, a plain label a value of `label`.

    Raises:
        ValueError: the collection holds feature vectors.
    """
    if holds_vectors(pairs.images) or holds_vectors(pairs.texts):
        raise ValueError(
            f"`{pairs.name}` holds feature vectors, which have no image or text encoder, so they "
            "can be neither encoded nor indexed; `udsph evaluate` searches them"
        )
    return [_item(pairs, row) for row in range(len(pairs))]


def _item(pairs: Pairs, row: int) -> Item:
    metadata: dict[str, list[str]] = {}
    for column in np.flatnonzero(pairs.labels[row]):
        group, separator, value = pairs.label_names[column].partition("=")
        metadata.setdefault(group if separator else "label", []).append(
            value if separator else group
        )
    return Item(
        str(pairs.ids[row]),
        str(pairs.texts[row]),
        str(pairs.images[row]),
        {name: tuple(values) for name, values in metadata.items()},
    )
