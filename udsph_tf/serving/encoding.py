"""Bulk encoding: a collection to codes in Parquet files, in this process or by Apache Beam."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from udsph_tf.data.pairs import Pairs, Problem
from udsph_tf.serving.code_files import Part, finish_parts, write_part
from udsph_tf.serving.item_encoder import ItemEncoder, items_of

__all__ = ["encode_pairs"]

_LOG = logging.getLogger(__name__)


def encode_pairs(
    pairs: Pairs,
    artefacts: str | os.PathLike,
    out: str | os.PathLike,
    *,
    part_items: int = 4096,
    variant: str = "float32",
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    overwrite: bool = False,
) -> tuple[int, list[Problem]]:
    """Encode a collection into a folder of Parquet files (see `udsph_tf.serving.code_files`).

    Parts are consecutive items of the collection. A part's file appears when it is whole, and one
    that is there is not made again: a run that was killed goes on where it was. The files are the
    same, byte for byte, whoever makes them.

    Args:
        pairs: the collection.
        artefacts: the export folder.
        out: the folder of the files.
        part_items: items of a part.
        variant: which form of the encoders runs: "float32" (LiteRT, fast on CPUs), or "saved_model"
            (TensorFlow, for accelerators), whose codes may differ in a rare bit.
        runner: a runner of Apache Beam, such as "FlinkRunner"; this process by default.
        runner_options: options of that runner, such as "flink_master=localhost:8081".
        overwrite: delete what is in `out`, if it is codes.

    Returns:
        The number of items encoded, and those left out because their picture is unusable.

    Raises:
        ValueError: `out` holds something else, or codes of other items, of another model or
            another `part_items` or `variant`; or the collection holds feature vectors, or nothing.
        ImportError: pyarrow or Apache Beam is not installed.
    """
    if part_items < 1:
        raise ValueError(f"`part_items` must be at least 1. Received: part_items={part_items}")
    if runner_options and not runner:
        raise ValueError("`runner_options` go with a `runner`")
    items = items_of(pairs)
    if not items:
        raise ValueError("There are no items to encode")
    folder, encoder = Path(out).resolve(), ItemEncoder(artefacts, variant)
    model = {
        "dataset": pairs.name,
        "model_checksum": encoder.model_checksum,
        "num_bits": encoder.num_bits,
        "nested": encoder.nested,
        "variant": variant,
    }
    count = -(-len(items) // part_items)
    parts = [
        Part(number, count, items[number * part_items : (number + 1) * part_items], model)
        for number in range(count)
    ]
    _prepare(folder, {part.name for part in parts}, overwrite)
    left = [part for part in parts if not part.is_written(folder)]
    if len(left) < count:
        _LOG.info("%d of %d parts are there already", count - len(left), count)
    if runner:
        from udsph_tf.serving.beam_encoding import encode_with_beam

        del encoder  # the runner's workers have their own
        encode_with_beam(left, artefacts, folder, variant, runner, runner_options)
    else:
        with tqdm(total=sum(len(part.items) for part in left), desc="encode", unit="item") as bar:
            for part in left:
                write_part(folder, part, encoder.encode(part.items, bar.update))
    problems = finish_parts(folder, [part.name for part in parts], model)
    if problems:
        _LOG.warning("%d items with an unusable picture are left out", len(problems))
    return len(items) - len(problems), problems


def _prepare(folder: Path, expected: set[str], overwrite: bool) -> None:
    """Make the folder, or see that all it holds belongs to this encoding."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    ours = {name for name in names if name.startswith("part-") and name.endswith(".parquet")}
    # What a killed process was writing.
    unfinished = {name for name in names if name.startswith(".") and ".tmp." in name}
    others = names - ours - unfinished - {"bad_items.jsonl", "encoding.json"}
    if folder.exists() and (others or not folder.is_dir()):
        raise ValueError(
            f"{folder} is no folder of codes: it holds {min(others, default='a file')!r}. Choose "
            "another folder"
        )
    if overwrite and names:
        shutil.rmtree(folder)
    elif ours - expected:
        raise ValueError(
            f"{folder} holds parts of another encoding, such as {min(ours - expected)}. Choose "
            "another folder, the same number of items a part, or pass overwrite (--overwrite)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name in unfinished:
            path.unlink(missing_ok=True)
