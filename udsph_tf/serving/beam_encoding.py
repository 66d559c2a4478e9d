"""Bulk encoding as an Apache Beam pipeline: one element a part, from its items to its file.

A part is encoded and written within one step, with nothing grouped across parts: what a worker has
finished stays finished when the pipeline dies. Bad items travel with their part, and so are listed
once however often a part is tried.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

try:
    import apache_beam as beam
    from apache_beam.ml.inference.base import ModelHandler, RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
    raise ImportError("`runner` needs Apache Beam: pip install 'udsph-tf[beam]'") from error

from udsph_tf.serving.code_files import Part, write_part
from udsph_tf.serving.item_encoder import EncodedItems, ItemEncoder

__all__ = ["PartEncoder", "encode_with_beam"]


class PartEncoder(ModelHandler[Part, tuple[Part, EncodedItems], ItemEncoder]):
    """Beam's way to an `ItemEncoder`: loaded once a worker process, run over parts.

    Args:
        artefacts: the export folder, as the workers see it.
        variant: as for `ItemEncoder`.
    """

    def __init__(self, artefacts: str, variant: str):
        super().__init__()
        self._artefacts, self._variant = artefacts, variant

    def load_model(self) -> ItemEncoder:
        """The encoders."""
        return ItemEncoder(self._artefacts, self._variant)

    def run_inference(
        self,
        batch: Sequence[Part],
        model: ItemEncoder,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[tuple[Part, EncodedItems]]:
        """Every part with its codes."""
        for part in batch:
            yield part, model.encode(part.items)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """One part at a time, which is a batch of batches by itself."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[Part]) -> int:
        """Roughly the bytes of a batch, for Beam's metrics."""
        return sum(len(item.text) + len(item.image) for part in batch for item in part.items)


def encode_with_beam(
    parts: Sequence[Part],
    artefacts: str | os.PathLike,
    folder: str | os.PathLike,
    variant: str,
    runner: str,
    runner_options: Sequence[str] = (),
) -> None:
    """Encode parts and write their files.

    Every worker must see the pictures, the export and the output folder at the same paths.

    Args:
        parts: what to encode.
        artefacts: the export folder.
        folder: where the files go.
        variant: as for `ItemEncoder`.
        runner: a runner of Apache Beam.
        runner_options: its options, each `name=value`, or `name` for a switch.

    Raises:
        ValueError: the runner or one of its options is unknown.
    """
    flags = [f"--runner={runner}", *(f"--{each}" for each in runner_options)]
    options = PipelineOptions(flags)
    folder, artefacts = str(Path(folder).resolve()), str(Path(artefacts).resolve())
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Parts" >> beam.Create(parts, reshuffle=True)
            | "Encode" >> RunInference(PartEncoder(artefacts, variant))
            | "Write" >> beam.MapTuple(lambda part, encoded: write_part(folder, part, encoded))
        )
