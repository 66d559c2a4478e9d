"""The encoders behind a model server, with the interface of those in this process."""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from udsph_tf.artefacts import read_manifest
from udsph_tf.data.images import ImageError, checked_picture
from udsph_tf.serving.encoders import no_codes, text_inputs
from udsph_tf.serving.query_check import QueryCheck
from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.tf_serving.golden_items import GoldenItems
from udsph_tf.serving.tf_serving.served_model import ServedModel
from udsph_tf.serving.tf_serving.settings import ClientSettings

__all__ = ["ServedImageEncoder", "ServedTextEncoder"]


class _ServedEncoder:
    """What both have in common: the model behind the address must be that of the artefacts.

    A server tells names and versions of its models, and not what they are. So it is given the
    golden items of the export: when the encoder is made, whenever an answer comes from a version
    that was not seen yet, and when the last time is `verify_every` seconds ago. `trusted` says when
    each version passed.
    """

    modality: str
    signature: str
    input_name: str

    def __init__(self, address: str, artefacts: str | Path, settings: ClientSettings | None = None):
        manifest = read_manifest(artefacts)
        self.model_checksum: str = manifest["model_checksum"]
        self.num_bits: int = manifest["num_bits"]
        self.golden = GoldenItems.read(artefacts, self.modality)
        self.trusted: dict[int | None, float] = {}
        self.model = ServedModel(address, self.modality, settings)
        try:
            self._verify(None)
        except (ServingError, ImageError):
            self.close()
            raise

    def is_ready(self) -> bool:
        """Whether the server answers and has the model loaded."""
        return self.model.is_ready()

    def close(self) -> None:
        """Give up the connections."""
        self.model.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    async def __aenter__(self):
        await self.model.__aenter__()
        return self

    async def __aexit__(self, *error) -> None:
        await self.model.__aexit__(*error)

    def _run(self, items: Sequence[bytes]) -> dict[str, np.ndarray]:
        if not items:
            return no_codes(self.num_bits)
        outputs, versions = self.model.predict(self.signature, self.input_name, items)
        for version in self._doubted(versions):
            self._verify(version)
        return self._outputs(outputs, len(items))

    async def _run_async(self, items: Sequence[bytes]) -> dict[str, np.ndarray]:
        if not items:
            return no_codes(self.num_bits)
        outputs, versions = await self.model.predict_async(self.signature, self.input_name, items)
        for version in self._doubted(versions):
            await asyncio.to_thread(self._verify, version)
        return self._outputs(outputs, len(items))

    def _doubted(self, versions: set[int | None]) -> list[int | None]:
        since = time.monotonic() - self.model.settings.verify_every
        return [each for each in versions if self.trusted.get(each, -math.inf) < since]

    def _verify(self, version: int | None) -> None:
        golden = self.golden
        outputs, versions = self.model.predict(
            self.signature, self.input_name, golden.items, version=version
        )
        wrong = golden.wrong_bits(self._outputs(outputs, len(golden.items))["packed"])
        if wrong:
            told = ", ".join(f" (version {each})" for each in versions if each is not None)
            raise ServingError(
                f"The {self.modality} model at {self.model.address}{told} is not that of the "
                f"artefacts: {wrong} of {golden.logits.size} bits of the golden items differ. "
                "Serve the SavedModels of the same export",
                "FAILED_PRECONDITION",
            )
        self.trusted.update(dict.fromkeys(versions, time.monotonic()))

    def _outputs(self, outputs: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        shapes = {name: np.shape(each) for name, each in outputs.items()}
        expected = {"packed": (number, self.num_bits // 8), "hash": (number, self.num_bits)}
        if {name: shapes.get(name) for name in expected} != expected:
            raise ServingError(
                f"The {self.modality} model at {self.model.address} is not that of the artefacts: "
                f"it has outputs of shapes {shapes}, not {expected}",
                "FAILED_PRECONDITION",
            )
        return {
            "packed": outputs["packed"].astype(np.uint8),
            "hash": outputs["hash"].astype(np.float32),
        }


class ServedImageEncoder(_ServedEncoder):
    """The image encoder behind a model server; may be called from several threads.

    The `*_async` methods belong into `async with encoder:`.

    Args:
        address: such as "grpc://127.0.0.1:8500", "http://127.0.0.1:8501/labels/stable".
        artefacts: the export folder that is being served; of it, this reads `manifest.json` and
            `golden/`.
        settings: batches, deadlines and repetitions.

    Raises:
        FileNotFoundError: there is no export.
        ServingError: the server does not answer, or has another model.
        ValueError: a file of the export is missing or has been changed.
    """

    modality, signature, input_name = "image", "with_mask", "image_bytes"

    def encode(self, images: Sequence[bytes]) -> np.ndarray:
        """(n, num_bits / 8) uint8 of n encoded pictures.

        Raises:
            ImageError: a picture cannot be used; the message says which.
            ServingError: the server does not answer.
        """
        return self.run(images)["packed"]

    def run(self, images: Sequence[bytes]) -> dict[str, np.ndarray]:
        """`packed`, (n, num_bits / 8) uint8, and `hash`, (n, num_bits) float32, of n pictures.

        Raises:
            ImageError: a picture cannot be used; the message says which.
            ServingError: the server does not answer.
        """
        with _refusals():
            return self._run(_checked(images))

    async def encode_async(self, images: Sequence[bytes]) -> np.ndarray:
        """As `encode`, from a coroutine."""
        return (await self.run_async(images))["packed"]

    async def run_async(self, images: Sequence[bytes]) -> dict[str, np.ndarray]:
        """As `run`, from a coroutine."""
        with _refusals():
            return await self._run_async(_checked(images))

    def _outputs(self, outputs: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        usable = outputs.get("usable", np.ones(number, bool)).astype(bool)
        if not usable.all():
            raise ImageError(f"{_which(int(usable.argmin()), usable)}the server cannot decode it")
        return super()._outputs(outputs, number)


class ServedTextEncoder(_ServedEncoder):
    """The text encoder behind a model server; may be called from several threads.

    Args and errors as for `ServedImageEncoder`; of the export it reads `vocabulary.txt` too.
    """

    modality, signature, input_name = "text", "serving_default", "text"

    def __init__(self, address: str, artefacts: str | Path, settings: ClientSettings | None = None):
        self._query = QueryCheck(artefacts)
        super().__init__(address, artefacts, settings)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, num_bits / 8) uint8 of n texts; every text has a code, an empty one too.

        Raises:
            ValueError: a text is not a string.
            ServingError: the server does not answer.
        """
        return self.run(texts)["packed"]

    def run(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`packed`, (n, num_bits / 8) uint8, and `hash`, (n, num_bits) float32, of n texts.

        Raises:
            ValueError: a text is not a string.
            ServingError: the server does not answer.
        """
        return self._run(text_inputs(texts))

    async def encode_async(self, texts: Sequence[str]) -> np.ndarray:
        """As `encode`, from a coroutine."""
        return (await self.run_async(texts))["packed"]

    async def run_async(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """As `run`, from a coroutine."""
        return await self._run_async(text_inputs(texts))

    def check_query(self, text: str) -> None:
        """Raise where a query says nothing to the encoder.

        Raises:
            ValueError: the text is empty, or none of it is in the vocabulary.
        """
        self._query.check(text)


def _checked(images: Sequence[bytes]) -> list[bytes]:
    """What can be refused by its header is not sent; the server sees the rest."""
    checked = []
    for row, image in enumerate(images):
        try:
            checked.append(checked_picture(image))
        except ImageError as error:
            raise ImageError(f"{_which(row, images)}{error}") from error
    return checked


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ServingError as error:
        if error.status == "INVALID_ARGUMENT":
            raise ImageError(str(error)) from error
        raise


def _which(row: int, images: Sequence) -> str:
    return f"images[{row}]: " if len(images) > 1 else ""
