"""Search by words, a picture or an item: encoders and an index that can be exchanged."""

import contextlib
import io
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from udsph_tf.codes import first_bits, fuse, pack
from udsph_tf.data.images import ImageError, read_image
from udsph_tf.search import Hit, Item, ItemIndex, MilvusError, StoredIndex, open_index
from udsph_tf.serving.opening import open_encoder
from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.web.limits import Limits

__all__ = ["Answer", "RequestError", "SearchEngine", "SearchOptions", "Snapshot"]

_LOG = logging.getLogger(__name__)
_MODALITY = {"images": "image", "texts": "text", "items": "fused"}


class RequestError(ValueError):
    """A request that cannot be answered as it is; the message says why.

    Args:
        code: a short name for programs.
        message: a sentence for people, without paths.
        status: the HTTP status that fits.
    """

    def __init__(self, code: str, message: str, status: int = 422):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Args:
        find: whose codes are compared: "images", "texts", or "items" (picture and words together).
        k: most hits.
        radius: greatest Hamming distance of a hit; any by default.
        filters: values by field of the metadata; an item must have, in every field, one of them.
        bits: code length; the whole code by default, or one of the model's nested lengths.
        rerank: re-rank the nearest candidates by the query's real-valued hash.
        candidates: how many.
    """

    find: str = "images"
    k: int = 24
    radius: int | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bits: int | None = None
    rerank: bool = False
    candidates: int = 100


@dataclass(frozen=True)
class Answer:
    """What was found, by which index, and how long it took.

    Args:
        hits: nearest first.
        bits: code length that was searched with.
        exact: whether a nearer item cannot have been missed.
        generation: number of the index since the service began; it rises with every reload.
        encode_seconds: from the query to its code.
        search_seconds: from the code to the hits.
    """

    hits: list[Hit]
    bits: int
    exact: bool
    generation: int
    encode_seconds: float
    search_seconds: float


class Snapshot:
    """One index as it was opened, with what is computed from it once.

    Args:
        index: the index.
        generation: its number.
    """

    def __init__(self, index: ItemIndex, generation: int):
        self.index, self.generation = index, generation
        self.size, self.facets = len(index), index.facets()
        self._shorter: dict[int, StoredIndex] = {}
        self._lock = threading.Lock()

    def of_length(self, bits: int) -> ItemIndex:
        """The index by the first `bits` bits, made when it is first asked for."""
        if bits == self.index.num_bits:
            return self.index
        with self._lock:
            if bits not in self._shorter:
                self._shorter[bits] = self.index.first_bits(bits)
            return self._shorter[bits]


class SearchEngine:
    """Encoders and an index; may be called from several threads.

    Args:
        artefacts: the export folder.
        index: the index folder, made by the same model; or an index that is open already, and is
            not opened again when it changes.
        limits: what a request may ask for.
        tf_serving: address of a model server that encodes; by default this process does.

    Raises:
        FileNotFoundError: there is no export.
        ServingError: the model server does not answer, or has another model.
        ValueError: a file is missing or changed, or the index is of another model.
    """

    def __init__(
        self,
        artefacts: str | Path,
        index: str | Path | ItemIndex,
        limits: Limits | None = None,
        tf_serving: str | None = None,
    ):
        self.limits = limits or Limits()
        self._images = open_encoder("image", artefacts, tf_serving)
        self._texts = open_encoder("text", artefacts, tf_serving)
        self.model_checksum = self._images.model_checksum
        is_open = isinstance(index, ItemIndex)
        if is_open and index.model_checksum != self.model_checksum:
            raise ValueError(
                f"index was built by another model: it has codes of {index.model_checksum!r}, "
                f"the artefacts are of {self.model_checksum!r}"
            )
        self._folder = None if is_open else Path(index)
        self._stamp = self._look()
        self._snapshot = Snapshot(index if is_open else self._open(), generation=1)
        self._reloading = threading.Lock()
        self._warm_up()

    @property
    def snapshot(self) -> Snapshot:
        """The index that searches use now."""
        return self._snapshot

    def is_ready(self) -> bool:
        """Whether encoders and index can be used; a server may be away."""
        parts = (self._images, self._texts, self._snapshot.index)
        return all(part.is_ready() for part in parts)

    def close(self) -> None:
        """Give up connections to a model server."""
        self._images.close()
        self._texts.close()

    def reload(self) -> bool | None:
        """Open the index again if its manifest has changed; the old one answers meanwhile.

        Returns:
            True if a new index is in use, False if it could not be opened and the old one stays,
            None if nothing has changed.
        """
        with self._reloading:
            stamp = self._look()
            if stamp is None or stamp == self._stamp:
                return None
            try:
                opened = Snapshot(self._open(), self._snapshot.generation + 1)
            except (ValueError, OSError) as error:
                if self._look() == stamp:
                    # Said once: another look is worth it when the manifest has changed again.
                    self._stamp = stamp
                    _LOG.error("The new index is not used: %s", error)
                    return False
                return None  # it is being replaced right now
            self._stamp, self._snapshot = stamp, opened
            return True

    def search_text(self, text: str, options: SearchOptions) -> Answer:
        """Search with words.

        Raises:
            RequestError: the text is empty, too long or unknown, or an option does not fit.
        """
        snapshot = self._checked(options)
        if len(text) > self.limits.text_length:
            raise RequestError(
                "text_too_long", f"The text may have at most {self.limits.text_length} characters"
            )
        try:
            self._texts.check_query(text)
        except ValueError as error:
            raise RequestError("text_says_nothing", str(error)) from error
        return self._search(snapshot, lambda: self._texts.run([text]), options)

    def search_image(self, data: bytes, options: SearchOptions) -> Answer:
        """Search with a picture.

        Raises:
            RequestError: the picture is unusable or too large, or an option does not fit.
        """
        snapshot = self._checked(options)
        self._check_picture(data)

        def encode():
            try:
                return self._images.run([data])
            except ImageError as error:
                raise RequestError("bad_image", f"The picture cannot be used: {error}") from error

        return self._search(snapshot, encode, options)

    def search_item(self, name: str, by: str, options: SearchOptions) -> Answer:
        """Search with an item of the index; the item itself is a hit too.

        Args:
            name: the item's id.
            by: which of its codes asks: "image", "text" or "fused".
            options: how to search.

        Raises:
            RequestError: there is no such item (404), or an option does not fit.
        """
        snapshot = self._checked(options)
        index = snapshot.index
        if by not in index.modalities:
            raise RequestError("no_such_code", f"Items of this index have no {by} code")

        def encode():
            if options.rerank:
                return self._encode_item(self.item(name, snapshot), by)
            with _answering():
                return {"packed": _found(index.codes_of_item(name, by)), "hash": None}

        return self._search(snapshot, encode, options)

    def item(self, name: str, snapshot: Snapshot | None = None) -> Item:
        """An item of the index that searches use now, or of another one.

        Raises:
            RequestError: there is no item with this id (404).
        """
        with _answering():
            return _found((snapshot or self._snapshot).index.item(name))

    def _search(self, snapshot: Snapshot, encode, options: SearchOptions) -> Answer:
        start = time.perf_counter()
        try:
            outputs = encode()
        except ServingError as error:
            _LOG.error("%s", error)
            raise RequestError(
                "no_encoder", "The encoders do not answer; try again later", 503
            ) from error
        encoded = time.perf_counter()
        bits = options.bits or snapshot.index.num_bits
        index = snapshot.of_length(bits)
        modality = _MODALITY[options.find]
        with _answering():
            (hits,) = index.search(
                first_bits(outputs["packed"], bits),
                modality,
                options.k,
                radius=options.radius,
                filters=options.filters,
                query_hash=outputs["hash"][:, :bits] if options.rerank else None,
                candidates=options.candidates,
            )
        return Answer(
            hits=hits,
            bits=bits,
            exact=index.is_exact(),
            generation=snapshot.generation,
            encode_seconds=encoded - start,
            search_seconds=time.perf_counter() - encoded,
        )

    def _encode_item(self, item: Item, by: str) -> dict[str, np.ndarray]:
        """Code and hash of an item, from its picture and words: an index has codes alone."""
        try:
            image = None if by == "text" else self._images.run([read_image(item.image)])
        except (ImageError, ImportError) as error:
            _LOG.warning("Item %r: %s", item.id, error)
            raise RequestError(
                "no_picture", "The item's picture cannot be read; search without re-ranking", 422
            ) from error
        text = None if by == "image" else self._texts.run([item.text])
        if image is None or text is None:
            return image or text
        both = (image["hash"] + text["hash"]) / 2
        return {"packed": pack(fuse(image["hash"], text["hash"])), "hash": both}

    def _checked(self, options: SearchOptions) -> Snapshot:
        snapshot, limits = self._snapshot, self.limits
        if _MODALITY[options.find] not in snapshot.index.modalities:
            raise RequestError("no_such_code", f"This index has no codes of {options.find}")
        if not 1 <= options.k <= limits.k:
            raise RequestError("bad_k", f"k must be from 1 to {limits.k}")
        if not 1 <= options.candidates <= limits.candidates:
            raise RequestError("bad_candidates", f"candidates must be 1 to {limits.candidates}")
        lengths = snapshot.index.lengths
        if options.bits is not None and options.bits not in lengths:
            known = ", ".join(map(str, lengths))
            raise RequestError("bad_bits", f"bits must be a code length of the model: {known}")
        if options.radius is not None and not 0 <= options.radius <= lengths[-1]:
            raise RequestError("bad_radius", f"radius must be from 0 to {lengths[-1]}")
        if sum(len(values) for values in options.filters.values()) > limits.filter_values:
            raise RequestError("bad_filters", f"at most {limits.filter_values} values may be given")
        facets = snapshot.facets
        if facets is not None and not set(options.filters) <= set(facets):
            known = ", ".join(facets) or "none"
            raise RequestError("bad_filters", f"Items have these fields to filter by: {known}")
        return snapshot

    def _check_picture(self, data: bytes) -> None:
        """Refuse many pixels by the header alone; everything else the encoder says."""
        if len(data) > self.limits.upload_bytes:
            most = self.limits.upload_bytes
            raise RequestError("image_too_large", f"A picture may have {most:,} bytes", status=413)
        try:
            with Image.open(io.BytesIO(data)) as header:
                width, height = header.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return
        if width * height > self.limits.pixels:
            raise RequestError(
                "too_many_pixels",
                f"A picture may have {self.limits.pixels:,} pixels, this one has {width}x{height}",
            )

    def _warm_up(self) -> None:
        """Do everything once: the first picture and the first search take much longer."""
        image = io.BytesIO()
        Image.new("RGB", (8, 8)).save(image, "PNG")
        self._texts.run([""])
        self.search_image(image.getvalue(), SearchOptions(k=1))

    def _open(self) -> StoredIndex:
        return open_index(self._folder, model_checksum=self.model_checksum)

    def _look(self) -> tuple[int, ...] | None:
        """What changes when the manifest is replaced; None while there is none."""
        if self._folder is None:
            return None
        try:
            status = os.stat(self._folder / "index.json")
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """An index elsewhere may be away."""
    try:
        yield
    except MilvusError as error:
        _LOG.error("%s", error)
        raise RequestError("no_index", "The index does not answer; try again later", 503) from error


def _found(what):
    if what is None:
        raise RequestError("no_such_item", "The index has no item with this id", status=404)
    return what
