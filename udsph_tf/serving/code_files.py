"""Codes in Parquet files: what bulk encoding writes, and any other program can read.

A folder holds `part-<number>-of-<count>.parquet`, each with a row an item: `id`, `text`, `source`,
`metadata`, and `image_code`, `text_code`, `fused_code`, binaries of `num_bits / 8` bytes. Once all
parts are there, it holds `bad_items.jsonl` and `encoding.json` too. Every part says in its file
metadata which model made the codes, how long they are, their bit order, which items it was made of,
and which of those are left out.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from udsph_tf.data.pairs import Problem
from udsph_tf.files import sha256, write_text, writing
from udsph_tf.search import Item
from udsph_tf.serving.item_encoder import EncodedItems

__all__ = ["BIT_ORDER", "CodeFiles", "Part", "finish_parts", "read_part_problems", "write_part"]

BIT_ORDER = "big: the first bit is the most significant of the first byte; 1 where the code is +1"

_FORMAT = 1
_SUMMARY, _BAD_ITEMS = "encoding.json", "bad_items.jsonl"
_MODALITIES = ("image", "text", "fused")
_REMEDY = "Run `udsph encode` again"


@dataclass(frozen=True)
class Part:
    """Some items that become one file.

    Args:
        number: of the part, from 0.
        count: how many parts there are.
        items: its items, in the order of the collection.
        model: `model_checksum`, `num_bits`, `nested`, `variant` and `dataset`, the same for every
            part.
    """

    number: int
    count: int
    items: Sequence[Item]
    model: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"part-{self.number:05d}-of-{self.count:05d}.parquet"

    def description(self) -> dict[str, str]:
        """What its file says of itself, as far as that is known before it is encoded."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(json.dumps(_as_record(item), sort_keys=True).encode("ascii") + b"\n")
        return {
            "udsph.format": str(_FORMAT),
            "udsph.model_checksum": self.model["model_checksum"],
            "udsph.variant": self.model["variant"],
            "udsph.num_bits": str(self.model["num_bits"]),
            "udsph.bit_order": BIT_ORDER,
            "udsph.items_sha256": digest.hexdigest(),
        }

    def is_written(self, folder: Path) -> bool:
        """Whether its file is there, whole, and of these items and this model.

        Raises:
            ValueError: the file is another one.
        """
        path = folder / self.name
        if not path.exists():
            return False
        found = _read_description(path)
        for key, expected in self.description().items():
            if found.get(key) != expected:
                raise ValueError(
                    f"{path} was encoded from other items or by another model ({key} differs). "
                    "Choose another --out, or pass overwrite (--overwrite)"
                )
        return True


def write_part(folder: str | os.PathLike, part: Part, encoded: EncodedItems) -> None:
    """Write a part's file; equal input gives equal bytes."""
    pa, pq = _arrow()
    code = pa.binary(part.model["num_bits"] // 8)
    metadata = pa.map_(pa.string(), pa.list_(pa.string()))
    records = [_as_record(item) for item in encoded.items]
    columns = {
        "id": pa.array([each["id"] for each in records], pa.string()),
        "text": pa.array([each["text"] for each in records], pa.string()),
        "source": pa.array([each["source"] for each in records], pa.string()),
        "metadata": pa.array([list(each["metadata"].items()) for each in records], metadata),
    }
    for modality in _MODALITIES:
        rows = [row.tobytes() for row in encoded.codes[modality]]
        columns[f"{modality}_code"] = pa.array(rows, code)
    left_out = [vars(each) for each in encoded.problems]
    table = pa.table(columns).replace_schema_metadata(
        {**part.description(), "udsph.bad_items": json.dumps(left_out)}
    )
    with writing(Path(folder, part.name)) as temporary:
        # Codes do not compress, and a dictionary of them would be larger than they are.
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)


def read_part_problems(path: str | os.PathLike) -> list[Problem]:
    """The items that a part leaves out, and why."""
    return [Problem(**each) for each in json.loads(_read_description(path)["udsph.bad_items"])]


def finish_parts(folder: Path, names: Sequence[str], model: Mapping[str, Any]) -> list[Problem]:
    """Write `bad_items.jsonl` and, last of all, `encoding.json`: from now on the folder is whole.

    Returns:
        The items left out.
    """
    _, pq = _arrow()
    problems, parts = [], []
    for name in names:
        path = folder / name
        problems += read_part_problems(path)
        rows = pq.read_metadata(path).num_rows
        parts.append({"file": name, "num_items": rows, "sha256": sha256(path)})
    lines = [json.dumps(vars(each)) + "\n" for each in problems]
    write_text(folder / _BAD_ITEMS, "".join(lines))
    summary = {
        "format": _FORMAT,
        **model,
        "bit_order": BIT_ORDER,
        "num_items": sum(part["num_items"] for part in parts),
        "num_bad_items": len(problems),
        "parts": parts,
    }
    write_text(folder / _SUMMARY, json.dumps(summary, indent=1) + "\n")
    return problems


class CodeFiles:
    """A folder that bulk encoding has finished.

    Args:
        folder: what `udsph encode` has written.

    Raises:
        FileNotFoundError: there is none, or it is not finished.
        ValueError: it is damaged: a part is missing or another one.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        path = self.folder / _SUMMARY
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.folder} holds no finished encoding: {path} is missing. {_REMEDY}"
            )
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            if summary["format"] != _FORMAT:
                raise ValueError(f"format {summary['format']!r}, expected {_FORMAT}")
            self.model_checksum: str = summary["model_checksum"]
            self.num_bits: int = summary["num_bits"]
            self.nested: list[int] = summary["nested"]
            self.dataset: str = summary["dataset"]
            self._parts: list[dict] = summary["parts"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}. {_REMEDY}") from error
        for part in self._parts:
            if not self._path(part).is_file() or sha256(self._path(part)) != part["sha256"]:
                raise ValueError(
                    f"{self._path(part)} is missing or not the file that was written. {_REMEDY}"
                )

    def __len__(self) -> int:
        return sum(part["num_items"] for part in self._parts)

    @property
    def problems(self) -> list[Problem]:
        """The items that were left out, and why."""
        return [each for part in self._parts for each in read_part_problems(self._path(part))]

    def codes(self) -> dict[str, np.ndarray]:
        """(n, num_bits / 8) uint8 by modality, of all items."""
        _, pq = _arrow()
        found = {}
        for modality in _MODALITIES:
            name = f"{modality}_code"
            columns = [pq.read_table(self._path(part), columns=[name]) for part in self._parts]
            data = b"".join(b"".join(each[name].to_pylist()) for each in columns)
            found[modality] = np.frombuffer(data, np.uint8).reshape(-1, self.num_bits // 8)
        return found

    def items(self) -> Iterator[Item]:
        """All items, in the order of the codes."""
        _, pq = _arrow()
        for part in self._parts:
            columns = ["id", "text", "source", "metadata"]
            for row in pq.read_table(self._path(part), columns=columns).to_pylist():
                metadata = {name: tuple(values) for name, values in row["metadata"]}
                yield Item(row["id"], row["text"], row["source"], metadata)

    def _path(self, part: Mapping[str, Any]) -> Path:
        return self.folder / part["file"]


def _as_record(item: Item) -> dict[str, Any]:
    metadata = {name: list(values) for name, values in item.metadata.items()}
    return {"id": item.id, "text": item.text, "source": item.image, "metadata": metadata}


def _read_description(path: str | os.PathLike) -> dict[str, str]:
    pa, pq = _arrow()
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{os.fspath(path)} is not a whole Parquet file: {error}") from error
    return {key.decode(): value.decode() for key, value in found.items()}


def _arrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Codes in Parquet files need pyarrow: pip install 'udsph-tf[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet
