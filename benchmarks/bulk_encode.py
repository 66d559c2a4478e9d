"""Photos a second from files to codes: bulk encoding, with Beam and without, beside tf.function.

python benchmarks/bulk_encode.py --artefacts artefacts/fashion --root data/fashion \\
    > docs/results/bulk_encode.md
"""

import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags

from udsph_tf.config import DataConfig
from udsph_tf.data import read_pairs
from udsph_tf.data.decoding import decode_pictures
from udsph_tf.data.images import load_pixels, read_image
from udsph_tf.files import sha256
from udsph_tf.litert import num_cores
from udsph_tf.serving import CodeFiles, encode_pairs
from udsph_tf.training.run_folder import versions

_ARTEFACTS = flags.DEFINE_string("artefacts", None, "an export folder", required=True)
_DATASET = flags.DEFINE_string("dataset", "fashion", "the data set")
_ROOT = flags.DEFINE_string("root", None, "its folder", required=True)
_IMAGES = flags.DEFINE_integer("images", 36_000, "photos to encode", lower_bound=512)
_BASELINE = flags.DEFINE_integer("baseline_images", 6_000, "of these, for the loops of tf.function")
_BATCH = 64


def main(_):
    pairs, _problems = read_pairs(DataConfig(dataset=_DATASET.value, root=_ROOT.value))
    pairs = pairs.take(np.arange(min(_IMAGES.value, len(pairs))))
    some = pairs.take(np.arange(min(_BASELINE.value, len(pairs))))
    network = tf.saved_model.load(str(Path(_ARTEFACTS.value, "image", "1")))
    call = network.signatures["from_pixels"]
    (size,) = {each.shape[1] for each in call.structured_input_signature[1].values()}
    (name,) = call.structured_input_signature[1]

    def one_by_one(pairs):
        for start in range(0, len(pairs), _BATCH):
            sources = pairs.images[start : start + _BATCH]
            yield np.stack([load_pixels(read_image(each), size) for each in sources])

    def streamed(pairs):
        return (pixels for pixels, _ in decode_pictures(pairs.images.tolist(), size, _BATCH))

    def encoded(batches):
        return [call(**{name: tf.constant(pixels)})["packed"].numpy() for pixels in batches]

    list(map(encoded, [one_by_one(pairs.take(np.arange(128)))]))  # traces
    rates, codes = {}, {}
    for way, batches in (
        ("`tf.function`, photos decoded one by one", one_by_one),
        ("`tf.function`, photos decoded by our stream", streamed),
    ):
        start = time.perf_counter()
        codes[way] = np.concatenate(encoded(batches(some)))
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
    slowest = next(iter(rates.values()))
    print(f"# Bulk encoding\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(
        f"{platform.machine()}, {num_cores()} cores, TensorFlow {versions()['tensorflow']}; "
        f"{len(pairs):,} photos ({len(some):,} for the loops of `tf.function`) from JPEG files to "
        f"codes, {size}x{size} pixels. `udsph encode` also encodes the texts, fuses both codes, "
        "writes Parquet files, and starts its encoders (and Beam) within the time.\n"
    )
    print("| way | photos/s | ratio |\n|---|---|---|")
    for way, rate in rates.items():
        print(f"| {way} | {rate:.0f} | {rate / slowest:.2f} |")
    different = [np.unpackbits(ours ^ each).sum() for each in codes.values()]
    same = "identical" if digests[0] == digests[1] else "DIFFERENT"
    print(
        f"\nFiles with Beam and without: {same}, {bytes_an_item:.0f} bytes an item. Bits of the "
        f"image codes that differ from `tf.function`'s: {max(different)} of {8 * ours.size:,}."
    )


if __name__ == "__main__":
    app.run(main)
