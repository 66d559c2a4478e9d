"""Photos a second from files to codes: bulk encoding, with Beam and without, beside tf.function.

python benchmarks/bulk_encode.py --artefacts artefacts/fashion --root data/fashion \\
    > docs/results/bulk_encode.md
"""

import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (its operations are in the text encoder)
from absl import app, flags

from udsph_tf.config import DataConfig
from udsph_tf.data import read_pairs
from udsph_tf.data.images import decode_and_resize, read_image
from udsph_tf.files import sha256
from udsph_tf.litert import num_cores
from udsph_tf.serving import CodeFiles, encode_pairs
from udsph_tf.training.run_folder import machine, versions

_ARTEFACTS = flags.DEFINE_string("artefacts", None, "an export folder", required=True)
_DATASET = flags.DEFINE_string("dataset", "fashion", "the data set")
_ROOT = flags.DEFINE_string("root", None, "its folder", required=True)
_IMAGES = flags.DEFINE_integer("images", 36_000, "photos to encode", lower_bound=512)
_BASELINE = flags.DEFINE_integer("baseline_images", 6_000, "of these, for the loops of tf.function")
_BATCH = 64
MODALITIES = ("image", "text")


def main(_):
    pairs, _problems = read_pairs(DataConfig(dataset=_DATASET.value, root=_ROOT.value))
    pairs = pairs.take(np.arange(min(_IMAGES.value, len(pairs))))
    some = pairs.take(np.arange(min(_BASELINE.value, len(pairs))))
    loops = Loops(_ARTEFACTS.value)
    rates, codes = {}, {}
    for way, image_codes in (
        ("`tf.function`, photos decoded one by one", loops.one_by_one),
        ("`tf.function`, the SavedModel decodes 64 at once", loops.from_bytes),
        ("`tf.function`, photos decoded by `tf.data` on all cores", loops.streamed),
    ):
        loops.run(some.take(np.arange(128)), image_codes)  # traces
        start = time.perf_counter()
        codes[way] = loops.run(some, image_codes)
        rates[way] = len(some) / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as folder:
        digests = []
        for way, options in (
            ("`udsph encode`", {}),
            ("`udsph encode --runner DirectRunner`", {"runner": "DirectRunner"}),
        ):
            out = Path(folder, str(len(digests)))
            start = time.perf_counter()
            encode_pairs(pairs, _ARTEFACTS.value, out, **options)
            rates[way] = len(pairs) / (time.perf_counter() - start)
            digests.append([sha256(each) for each in sorted(out.iterdir())])
        bytes_an_item = sum(each.stat().st_size for each in out.glob("*.parquet")) / len(pairs)
        ours = CodeFiles(out).codes()["image"][: len(some)]
    ours_rate = rates["`udsph encode`"]
    print(f"# Bulk encoding\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(
        f"{machine()}, TensorFlow {versions()['tensorflow']}; "
        f"{len(pairs):,} photos ({len(some):,} for the loops of `tf.function`) from JPEG files to "
        f"codes, {loops.size}x{loops.size} pixels, and their texts to codes. `udsph encode` also "
        "fuses both codes, writes Parquet files, and starts its encoders (and Beam) within the "
        "time.\n"
    )
    print("| way | photos/s | `udsph encode` is faster by |\n|---|---|---|")
    for way, rate in rates.items():
        print(f"| {way} | {rate:.0f} | {ours_rate / rate:.2f} |")
    different = [np.unpackbits(ours ^ each).sum() for each in codes.values()]
    same = "identical" if digests[0] == digests[1] else "DIFFERENT"
    print(
        f"\nFiles with Beam and without: {same}, {bytes_an_item:.0f} bytes an item. Bits of the "
        f"image codes that differ from `tf.function`'s: {max(different)} of {8 * ours.size:,}."
    )


class Loops:
    """Loops of `tf.function` over the exported SavedModels, in batches of 64."""

    def __init__(self, artefacts: str):
        # Kept, since signatures do not keep their model alive.
        self._models = [tf.saved_model.load(str(Path(artefacts, each, "1"))) for each in MODALITIES]
        image, text = (each.signatures for each in self._models)
        self._pixels, self._bytes = image["from_pixels"], image["serving_default"]
        self._text = text["serving_default"]
        self.size = self._pixels.structured_input_signature[1]["pixels"].shape[1]

    def run(self, pairs, image_codes) -> np.ndarray:
        """Codes of the pictures; those of the texts are computed too."""
        found = []
        for start, packed in zip(range(0, len(pairs), _BATCH), image_codes(pairs), strict=True):
            found.append(packed.numpy())
            texts = [str(each).encode() for each in pairs.texts[start : start + _BATCH]]
            self._text(text=tf.constant(texts))["packed"].numpy()
        return np.concatenate(found)

    def one_by_one(self, pairs):
        decode = decode_and_resize(self.size)
        for sources in batches(pairs.images):
            pixels = tf.stack([decode(tf.constant(read_image(each))) for each in sources])
            yield self._pixels(pixels=pixels)["packed"]

    def from_bytes(self, pairs):
        for sources in batches(pairs.images):
            data = tf.constant([read_image(each) for each in sources])
            yield self._bytes(image_bytes=data)["packed"]

    def streamed(self, pairs):
        decode = decode_and_resize(self.size)
        files = tf.data.Dataset.from_generator(
            lambda: (read_image(each) for each in pairs.images),
            output_signature=tf.TensorSpec([], tf.string),
        )
        pixels = files.map(decode, num_parallel_calls=num_cores()).batch(_BATCH).prefetch(2)
        return (self._pixels(pixels=each)["packed"] for each in pixels)


def batches(sources):
    return (sources[start : start + _BATCH] for start in range(0, len(sources), _BATCH))


if __name__ == "__main__":
    app.run(main)
