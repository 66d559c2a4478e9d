"""How fast pictures become cached pixels, beside a bare loop that decodes them in parallel.

    python benchmarks/input_pipeline.py --root fashion

The bare loop reads, decodes and resizes every picture with `tf.data` on all cores, and does nothing
else. The pipeline is that of training (`prepare_images`): it also looks at headers, catches damaged
files, and writes a checksummed cache that resumes. Both take turns, so that other work on the
machine hits both alike, and the ratio is of their medians. Processor time is shown too.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import tensorflow as tf

from udsph_tf.config import DataConfig
from udsph_tf.data import read_pairs
from udsph_tf.data.images import decode_and_resize, read_image
from udsph_tf.litert import num_cores
from udsph_tf.training.preparation import prepare_images

CHUNK = 512


def bare(sources: list[str], size: int) -> None:
    """Read, decode and resize, and nothing else."""
    decode = decode_and_resize(size)
    chunks = range(0, len(sources), CHUNK)

    def read():
        for start in chunks:
            yield [read_image(source) for source in sources[start : start + CHUNK]]

    data = tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec([None], tf.string))
    pixels = data.prefetch(2).unbatch().map(decode, num_parallel_calls=num_cores()).batch(CHUNK)
    for each in pixels.prefetch(1):
        each.numpy()


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds and processor seconds of one run."""
    wall, work = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - work


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dataset", default="fashion")
    parser.add_argument("--root", required=True)
    parser.add_argument("--items", type=int, default=4096)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pairs, _ = read_pairs(DataConfig(dataset=args.dataset, root=args.root))
    pairs = pairs.take(range(min(args.items, len(pairs))))
    sources = [str(each) for each in pairs.images]

    def pipeline():
        with tempfile.TemporaryDirectory() as cache:
            prepare_images(pairs, args.size, None, cache)

    runs = {"bare": lambda: bare(sources, args.size), "pipeline": pipeline}
    for run in runs.values():
        run()  # builds graphs, and reads the archive into memory
    seconds = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            seconds[name].append(timed(run))
    print(f"{len(sources):,} pictures to {args.size}x{args.size}, {args.rounds} rounds, medians")
    print(f"{'':10} {'images/s':>9} {'processor us an image':>22}")
    rates = {}
    for name, each in seconds.items():
        wall, work = (statistics.median(column) for column in zip(*each, strict=True))
        rates[name] = len(sources) / wall, work / len(sources) * 1e6
        print(f"{name:10} {rates[name][0]:9.0f} {rates[name][1]:22.0f}")
    print(
        f"pipeline / bare: {rates['pipeline'][0] / rates['bare'][0]:.2f} of the images a second, "
    )
    print(f"  {rates['bare'][1] / rates['pipeline'][1]:.2f} by processor time")


if __name__ == "__main__":
    main()
