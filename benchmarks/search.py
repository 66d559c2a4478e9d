"""Searches a second through our interface beside bare FAISS, and what approximate indexes miss.

    python benchmarks/search.py --index index/fashion --work work --json docs/results/search.json

Codes of 64 and 128 bits, two million of each, of two kinds:

* `uniform`: every bit is a fair coin. The hardest case there is: nothing lies near a query.
* `fashion`: codes of the items of `--index`, drawn again and again, each bit flipped with
  probability `--jitter`: clustered as codes of real items are. (128 bits: the code of a picture
  and that of its words, one after the other.) Queries are drawn in the same way.

Bare FAISS (`IndexBinaryFlat.search`) gives distances and positions. Ours is `StoredIndex.search` of
an index folder on disk, mapped into memory, which gives hits with their items. Both take turns, so
that other work on the machine hits both alike, and the ratio is of their medians.

recall@k = mean over queries of |D ∩ D*| / k, where D and D* are the distances (as multisets) of
the k codes found and of the k nearest: which of several at one distance was found does not matter.

On a machine that is busy with other work, `OMP_NUM_THREADS=1` and `--processor-time` compare the
processor time of one thread in place of the time that passes.

Indexes are built once, into `--work`, and read from there afterwards.
"""

import argparse
import json
import platform
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from udsph_tf.search import ApproximateIndex, FaissIndex, Item, open_index, write_index

LENGTHS = (64, 128)
BATCHES = (1, 64)
SETTINGS = {
    "ivf": ("nprobe", (1 / 256, 1 / 64, 1 / 32, 1 / 8)),  # of all lists
    "hnsw": ("efSearch", (32, 128, 512)),
    "multihash": ("nflip", (0, 1, 2)),
}
SEED = 20260


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--index", metavar="DIR", help="an index of 64 bits, for realistic codes")
    parser.add_argument("--work", metavar="DIR", required=True, help="where indexes are kept")
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    parser.add_argument("--codes", type=int, default=2_000_000)
    parser.add_argument("--queries", type=int, default=192, help="for recall and rates")
    parser.add_argument("--jitter", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument(
        "--kinds",
        nargs="*",
        default=list(SETTINGS),
        choices=list(SETTINGS),
        help="approximate indexes to measure; building `hnsw` takes longest",
    )
    parser.add_argument("--processor-time", action="store_true", help="see above")
    args = parser.parse_args()
    work = Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    exact, approximate = [], []
    for bits in LENGTHS:
        codes, queries = draw(bits, args)
        folder = stored(work, bits, codes)
        opened = open_index(folder, verify=False)
        for kind, modality in zip(codes, ("image", "text"), strict=False):
            asked = queries[kind]
            exact += compare(opened, modality, codes[kind], asked, kind, bits, args)
            approximate += approximations(work, codes[kind], asked, kind, bits, args)
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {faiss.omp_get_max_threads()} cores",
        "faiss": faiss.__version__,
        "codes": args.codes,
        "k": args.k,
        "jitter": args.jitter,
        "exact": exact,
        "approximate": approximate,
    }
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="ascii")
    print(as_markdown(report))


def draw(bits: int, args: argparse.Namespace) -> tuple[dict, dict]:
    """Codes of the database and of the queries by kind; always the same, so drawn once."""
    kept = Path(args.work, f"codes-{bits}.npz")
    if not kept.exists():
        codes, queries = drawn(bits, args)
        named = {f"queries-{kind}": each for kind, each in queries.items()}
        np.savez(kept, **codes, **named)
    with np.load(kept) as file:
        codes = {name: file[name] for name in file if not name.startswith("queries-")}
        return codes, {kind: file[f"queries-{kind}"] for kind in codes}


def drawn(bits: int, args: argparse.Namespace) -> tuple[dict, dict]:
    """What `draw` keeps."""
    random = np.random.default_rng([SEED, bits])
    codes, queries = {}, {}
    if args.index:
        index = open_index(args.index)
        places = np.arange(len(index.catalogue))
        real = np.hstack([index.codes_of(each).codes(places) for each in ("image", "text")])
        real = real[:, : bits // 8]
        for into, number in ((codes, args.codes), (queries, args.queries)):
            flips = np.packbits(random.random((number, bits)) < args.jitter, axis=1)
            into["fashion"] = real[random.integers(0, len(real), number)] ^ flips
    for into, number in ((codes, args.codes), (queries, args.queries)):
        into["uniform"] = random.integers(0, 256, (number, bits // 8), dtype=np.uint8)
    return codes, queries


def stored(work: Path, bits: int, codes: dict[str, np.ndarray]) -> Path:
    """An index folder; codes of one kind stand in it for pictures, those of the other for words."""
    folder = work / f"index-{bits}"
    first, second = next(iter(codes.values())), list(codes.values())[-1]
    if not folder.exists():
        items = (
            Item(str(number), f"item {number}: men navy blue casual shirt", f"images/{number}.jpg")
            for number in range(len(first))
        )
        print(f"Writing {folder}", file=sys.stderr)
        write_index(
            folder, image_packed=first, text_packed=second, items=items, model_checksum="none"
        )
    return folder


def compare(opened, modality, codes, queries, kind, bits, args) -> list[dict]:
    """Rates of bare FAISS and of ours, in turns."""
    bare = faiss.IndexBinaryFlat(bits)
    bare.add(codes)
    rows = []
    for batch in BATCHES:
        number = len(queries) if batch > 1 else min(len(queries), 64)
        seconds = in_turns(
            {
                "bare": lambda part: bare.search(part, args.k),
                "ours": lambda part: opened.search(part, modality, args.k),
            },
            [queries[start : start + batch] for start in range(0, number, batch)],
            args.rounds,
            args.processor_time,
        )
        rates = {name: number / each for name, each in seconds.items()}
        rows.append({"bits": bits, "kind": kind, "batch": batch, **rates})
        rows[-1]["ratio"] = rates["ours"] / rates["bare"]
        print(rows[-1], file=sys.stderr)
    return rows


def approximations(work, codes, queries, kind, bits, args) -> list[dict]:
    """Recall and speed-up over the exact scan, of every kind and setting, at 1 and 64 queries."""
    exact = FaissIndex(bits)
    exact.add(codes)
    truth = exact.search(queries, args.k)[0]
    rows = []
    for name, (setting, values) in SETTINGS.items():
        if name not in args.kinds or (kind, name) == ("uniform", "hnsw"):
            continue  # its graph takes longest to build, and the others show how hard these are
        index, built = structure(work / f"{kind}-{bits}.{name}", name, exact)
        for value in values:
            shown = set_setting(index, setting, value)
            found = index.search(queries, args.k)[0]
            row = {"bits": bits, "codes": kind, "kind": name, setting: shown, **built}
            row["recall"] = recall(found, truth)
            for batch in BATCHES:
                number = min(len(queries), 128 if batch > 1 else 32)
                seconds = in_turns(
                    {
                        "exact": lambda part: exact.search(part, args.k),
                        "approximate": lambda part, index=index: index.search(part, args.k),
                    },
                    [queries[start : start + batch] for start in range(0, number, batch)],
                    2,
                    args.processor_time,
                )
                row[f"rate_{batch}"] = number / seconds["approximate"]
                row[f"speedup_{batch}"] = seconds["exact"] / seconds["approximate"]
            rows.append(row)
            print(row, file=sys.stderr)
    return rows


def structure(path: Path, name: str, exact: FaissIndex) -> tuple[ApproximateIndex, dict]:
    """The structure at `path`, built if need be, and what building it cost."""
    told = path.with_suffix(f".{name}.json")
    if not told.exists():
        print(f"Building {path}", file=sys.stderr)
        start = time.process_time()
        ApproximateIndex.build(name, exact).write(path)
        cost = {"build_cpu_seconds": round(time.process_time() - start)}
        told.write_text(json.dumps({**cost, "megabytes": round(path.stat().st_size / 1e6)}))
    return ApproximateIndex.read(path, exact), json.loads(told.read_text())


def set_setting(index: ApproximateIndex, setting: str, value: float) -> int:
    """Set what trades recall for speed; the number set."""
    inner = index.structure
    if setting == "nprobe":
        inner.nprobe = max(1, round(value * inner.nlist))
        return inner.nprobe
    if setting == "efSearch":
        inner.hnsw.efSearch = value
    else:
        inner.nflip = value
    return value


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean share of the distances of `truth` that are among those of `found`."""
    common = [
        sum((Counter(mine.tolist()) & Counter(theirs.tolist())).values())
        for mine, theirs in zip(found, truth, strict=True)
    ]
    return float(np.mean(common) / truth.shape[1])


def in_turns(
    ways: dict[str, Callable], parts: list[np.ndarray], rounds: int, processor_time: bool
) -> dict[str, float]:
    """Median over rounds of the seconds that each way takes for all parts."""
    clock = time.process_time if processor_time else time.perf_counter
    seconds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = clock()
            for part in parts:
                way(part)
            if number:  # the first round reads pages and warms up
                seconds[name].append(clock() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def as_markdown(report: dict) -> str:
    """The page docs/results/search.md."""
    lines = [
        "# Search rates and recall",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}, FAISS {report['faiss']}, {report['codes']:,} codes, "
        f"k = {report['k']}. "
        "What the columns mean, and how codes are drawn: the head of `benchmarks/search.py`. "
        f"Codes called `fashion` are real ones, each bit flipped with probability "
        f"{report['jitter']}; queries a second.",
        "",
        "## Exact search: our interface beside bare FAISS",
        "",
        "| bits | codes | queries a call | bare FAISS | ours | ours / bare |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['bits']} | {row['kind']} | {row['batch']} | {row['bare']:,.0f} | "
        f"{row['ours']:,.0f} | {row['ratio']:.2f} |"
        for row in report["exact"]
    ]
    lines += [
        "",
        "## Approximate indexes: recall@k, and speed-up over our exact scan",
        "",
        "| bits | codes | kind | setting | recall | speed-up, 1 a call | 64 a call | "
        "built in (CPU s) | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["approximate"]:
        setting = SETTINGS[row["kind"]][0]
        lines.append(
            f"| {row['bits']} | {row['codes']} | {row['kind']} | {setting} {row[setting]} | "
            f"{row['recall']:.3f} | {row['speedup_1']:.1f} | {row['speedup_64']:.1f} | "
            f"{row['build_cpu_seconds']} | {row['megabytes']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
