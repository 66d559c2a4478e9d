"""How fast pictures become cached pixels, beside a bare loop that decodes them in parallel.

    python benchmarks/input_pipeline.py --root fashion > docs/results/input_pipeline.md

The bare loop is what `tf.data` does best: it reads, decodes and resizes every picture on all cores
without Python, and does nothing else. The pipeline is that of training (`prepare_images`): it also
looks at headers before it decodes, names damaged files, and writes a checksummed cache that
resumes. Both take turns, so that other work on the machine hits both alike, and the ratio is of
their medians. Processor time is shown too.
"""

import argparse
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from udsph_tf.config import DataConfig
from udsph_tf.data import read_pairs
from udsph_tf.data.images import decode_and_resize
from udsph_tf.litert import num_cores
from udsph_tf.training.preparation import prepare_images
from udsph_tf.training.run_folder import machine, versions

CHUNK = 512


def bare(sources: list[str], size: int) -> None:
    """Read, decode and resize, and nothing else."""
    decode = decode_and_resize(size)
    pixels = tf.data.Dataset.from_tensor_slices(sources).map(
        lambda path: decode(tf.io.read_file(path)), num_parallel_calls=num_cores()
    )
    for each in pixels.batch(CHUNK).prefetch(2):
        np.asarray(each)


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
    if not Path(sources[0]).is_file():
        parser.error(f"the bare loop reads files: unpack the archive of {sources[0]}")

    def pipeline():
        with tempfile.TemporaryDirectory() as cache:
            prepare_images(pairs, args.size, None, cache)

    runs = {"bare": lambda: bare(sources, args.size), "pipeline": pipeline}
    for run in runs.values():
        run()  # builds graphs, and reads the files into memory
    seconds = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            seconds[name].append(timed(run))
    print(f"# Input pipeline\n\n`{shlex.join(['python', *sys.argv])}`\n")
    print(
        f"{machine()}, TensorFlow {versions()['tensorflow']}, "
        f"{len(sources):,} pictures of {args.dataset} to {args.size}x{args.size}, medians of "
        f"{args.rounds} rounds.\n"
    )
    print("| way | images/s | processor us an image |\n|---|---|---|")
    rates, work = {}, {}
    for name, each in seconds.items():
        wall, processor = (statistics.median(column) for column in zip(*each, strict=True))
        rates[name], work[name] = len(sources) / wall, processor / len(sources) * 1e6
        print(f"| {name} | {rates[name]:.0f} | {work[name]:.0f} |")
    print(
        f"\npipeline / bare: {rates['pipeline'] / rates['bare']:.2f} of the images a second; "
        f"by processor time {work['bare'] / work['pipeline']:.2f}."
    )


if __name__ == "__main__":
    main()
