"""Does a model server write the codes of an export? Its golden items tell."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from udsph_tf.artefacts import read_manifest
from udsph_tf.codes import binarize, pack

__all__ = ["GoldenItems"]

_FILE = "golden/golden.json"
_NEAR_ZERO = 1e-3
"""A bit whose logit is smaller may differ: another processor adds up in another order."""


@dataclass(frozen=True)
class GoldenItems:
    """Inputs of one modality with what the Keras model made of them.

    Args:
        items: encoded pictures, or texts in UTF-8.
        logits: (n, num_bits) of the Keras model.
    """

    items: tuple[bytes, ...]
    logits: np.ndarray

    @classmethod
    def read(cls, artefacts: str | Path, modality: str) -> "GoldenItems":
        """Read those of an export.

        Args:
            artefacts: the export folder.
            modality: "image" or "text".

        Raises:
            FileNotFoundError: there is no export.
            ValueError: it has no golden items, or they have been changed.
        """
        read_manifest(artefacts, (_FILE,))
        told = json.loads(Path(artefacts, _FILE).read_text(encoding="utf-8"))[modality]
        if modality == "text":
            items = tuple(each["text"].encode("utf-8", "replace") for each in told)
        else:
            files = tuple(each["file"] for each in told)
            read_manifest(artefacts, files)
            items = tuple(Path(artefacts, name).read_bytes() for name in files)
        return cls(items, np.array([each["logits"] for each in told]))

    def take(self, rows: Sequence[int]) -> "GoldenItems":
        """The items of the rows `rows`."""
        return GoldenItems(tuple(self.items[row] for row in rows), self.logits[list(rows)])

    def wrong_bits(self, packed: np.ndarray) -> int:
        """How many bits differ from the Keras model's, those with a logit near zero left out.

        Args:
            packed: (n, num_bits / 8) that the server wrote.
        """
        expected = pack(binarize(self.logits))
        different = np.unpackbits(packed ^ expected, axis=1).astype(bool)
        return int((different & (np.abs(self.logits) >= _NEAR_ZERO)).sum())
