"""The exported encoders in this process: pictures or texts to packed codes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udsph_tf.artefacts import read_manifest
from udsph_tf.data.images import load_pixels
from udsph_tf.data.tokenizer import as_bytes
from udsph_tf.litert import SIGNATURE, LiteRTModel
from udsph_tf.serving.query_check import QueryCheck
from udsph_tf.serving.saved_model import SavedModel

__all__ = ["ImageEncoder", "TextEncoder", "no_codes", "text_inputs"]


class _EncoderHere:
    """What may be asked of an encoder behind a model server, too."""

    def _read(self, artefacts: str | Path, modality: str, variant: str) -> dict:
        """The manifest, once the files of the variant are found to be whole."""
        if variant == "saved_model":
            files = tuple(read_manifest(artefacts)["files"])
            names = tuple(name for name in files if name.startswith(f"{modality}/1/"))
        else:
            names = (f"{modality}.{variant}.tflite",)
        manifest = read_manifest(artefacts, names)
        self.model_checksum: str = manifest["model_checksum"]
        self.num_bits: int = manifest["num_bits"]
        return manifest

    def is_ready(self) -> bool:
        """Whether it can be used: always, in this process."""
        return True

    def close(self) -> None:
        """Give up connections, of which there are none."""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class ImageEncoder(_EncoderHere):
    """`image.<variant>.tflite` of an export folder through LiteRT, or its SavedModel.

    Args:
        artefacts: the export folder.
        variant: `"float32"`, `"float16"`, `"dynamic"` or `"int8"`, of texts the first and third; or
            `"saved_model"`, for machines with an accelerator.

    Raises:
        FileNotFoundError: there is no export.
        ValueError: a file is missing or has been changed.
    """

    def __init__(self, artefacts: str | Path, variant: str = "float32"):
        self.size: int = self._read(artefacts, "image", variant)["image"]["size"]
        if variant == "saved_model":
            self._model = SavedModel(Path(artefacts, "image", "1"), "from_pixels", batch_size=64)
        else:
            self._model = LiteRTModel(Path(artefacts, f"image.{variant}.tflite").read_bytes())

    def encode(self, images: Sequence[bytes]) -> np.ndarray:
        """(n, num_bits / 8) uint8 of n encoded pictures.

        Raises:
            ImageError: a picture cannot be used.
        """
        return self.run(images)["packed"]

    def run(self, images: Sequence[bytes]) -> dict[str, np.ndarray]:
        """`packed`, (n, num_bits / 8) uint8, and `hash`, (n, num_bits) float32, of n pictures.

        Raises:
            ImageError: a picture cannot be used.
        """
        if not len(images):
            return no_codes(self.num_bits)
        return self.run_pixels(np.stack([load_pixels(each, self.size) for each in images]))

    def run_pixels(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """`packed` and `hash` of pixels (n, size, size, 3) uint8."""
        return self._model.run(pixels)


class TextEncoder(_EncoderHere):
    """`text.<variant>.tflite` of an export folder through LiteRT, or its SavedModel.

    Args and errors as for `ImageEncoder`.
    """

    def __init__(self, artefacts: str | Path, variant: str = "float32"):
        # Imported here: the package is large, and only texts need it.
        from tensorflow_text import tflite_registrar

        self._read(artefacts, "text", variant)
        if variant == "saved_model":
            self._model = SavedModel(Path(artefacts, "text", "1"), SIGNATURE, batch_size=256)
        else:
            self._model = LiteRTModel(
                Path(artefacts, f"text.{variant}.tflite").read_bytes(),
                batch_size=256,
                custom_ops=tflite_registrar.SELECT_TFTEXT_OPS,
            )
        self._query = QueryCheck(artefacts)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, num_bits / 8) uint8 of n texts; every text has a code, an empty one too.

        Raises:
            ValueError: a text is not a string.
        """
        return self.run(texts)["packed"]

    def run(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`packed`, (n, num_bits / 8) uint8, and `hash`, (n, num_bits) float32, of n texts.

        Raises:
            ValueError: a text is not a string.
        """
        if not len(texts):
            return no_codes(self.num_bits)
        return self._model.run(np.array(text_inputs(texts), dtype=object))

    def check_query(self, text: str) -> None:
        """Raise where a query says nothing to the encoder.

        Raises:
            ValueError: the text is empty, or none of it is in the vocabulary.
        """
        self._query.check(text)


def text_inputs(texts: Sequence[str]) -> list[bytes]:
    """Texts as an encoder takes them, in UTF-8.

    Raises:
        ValueError: a text is not a string.
    """
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"A text must be a string. Received: {text!r}")
    return [as_bytes(text) for text in texts]


def no_codes(num_bits: int) -> dict[str, np.ndarray]:
    """`packed` and `hash` of no item."""
    return {
        "packed": np.empty((0, num_bits // 8), np.uint8),
        "hash": np.empty((0, num_bits), np.float32),
    }
