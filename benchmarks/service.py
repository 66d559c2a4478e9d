"""The search service under 64 clients for two minutes, every answer checked; a page in Markdown.

    python benchmarks/service.py --artefacts artefacts/fashion --index index/fashion \\
        --json docs/results/service.json

`udsph serve` runs in a process of its own on a copy of the index; the clients are threads of this
one, on the same cores. Each keeps its connection and asks again at once: half of the questions are
words, a quarter pictures (JPEG files), a quarter items. What is expected was computed before, from
codes of the encoders and Hamming distances by NumPy, so that a lost, mixed-up or wrong answer is
noticed: ids and distances of all hits must be equal.

A quarter of the way through items are deleted from the index and the service reloads it; half-way
it is compacted, and reloaded again. An answer says which index it comes from, and must be right for
that one.

Bare rate: the same words and pictures through the encoders alone, one a call, in a thread a core.
"""

import argparse
import http.client
import json
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from udsph_tf.codes import hamming_distance
from udsph_tf.data.images import read_image
from udsph_tf.litert import num_cores
from udsph_tf.search import compact_index, delete_items, open_index
from udsph_tf.serving import ImageEncoder, TextEncoder
from udsph_tf.training.run_folder import machine

K = 24
QUESTIONS = 200
FINDS = {"images": "image", "texts": "text", "items": "fused"}


class Expectations:
    """Questions by kind, and the right hits of each before and after the deletion."""

    def __init__(self, artefacts: str, folder: Path):
        index = open_index(folder)
        self.index, self.texts, self.images = index, TextEncoder(artefacts), ImageEncoder(artefacts)
        number = len(index.catalogue)
        self.codes = {
            find: index.codes_of(modality).codes(np.arange(number))
            for find, modality in FINDS.items()
        }
        chosen = np.random.default_rng(0).choice(number, QUESTIONS, replace=False)
        items = [index.catalogue[int(place)] for place in chosen]
        self.ids = [index.catalogue[place].id for place in range(number)]
        self.words = sorted({item.text for item in items})
        self.pictures = [read_image(item.image) for item in items]
        # Hits of the first questions: deleting them changes many answers.
        self.deleted = sorted({hit for text in self.words[:20] for hit in self._nearest(text)})
        self.alive = ~np.isin(self.ids, self.deleted)
        self.questions = []
        for count, item in enumerate(items):
            find = list(FINDS)[count % 3]
            options = {"find": find, "k": K}
            text, picture = self.words[count % len(self.words)], self.pictures[count]
            for kind, path, body, code in (
                ("words", "/v1/search/text", {"text": text, **options}, self._text(text)),
                ("picture", f"/v1/search/image?find={find}&k={K}", picture, self._image(picture)),
                ("item", "/v1/search/item", {"id": item.id, **options}, self._item(item.id)),
            ):
                if kind == "item" and item.id in self.deleted:
                    continue  # it is not found after the deletion
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                hits = self._hits(find, code, None), self._hits(find, code, self.alive)
                self.questions.append((kind, path, content, hits))
        by_kind = {}
        for each in self.questions:
            by_kind.setdefault(each[0], []).append(each)
        self.by_kind = by_kind

    def _text(self, text):
        return self.texts.encode([text])

    def _image(self, picture):
        return self.images.encode([picture])

    def _item(self, name):
        place = self.ids.index(name)
        return self.codes["images"][place : place + 1]

    def _nearest(self, text):
        return [name for name, _ in self._hits("images", self._text(text), None)[:3]]

    def _hits(self, find, code, alive):
        distances = hamming_distance(code, self.codes[find])[0]
        places = np.arange(len(distances)) if alive is None else np.flatnonzero(alive)
        nearest = places[np.lexsort((places, distances[places]))[:K]]
        return [(self.ids[place], int(distances[place])) for place in nearest]


class Client(threading.Thread):
    """One client: what it asked, how long answers took, and what was wrong."""

    def __init__(self, url: str, expected: Expectations, number: int, stop: threading.Event):
        super().__init__(daemon=True)
        self.url, self.expected, self.stop = urlsplit(url), expected, stop
        self.choice = random.Random(number)
        self.seconds, self.wrong, self.generations = [], [], set()

    def run(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)
        kinds = ["words", "words", "picture", "item"]
        while not self.stop.is_set():
            kind = self.choice.choice(kinds)
            _, path, body, expected = self.choice.choice(self.expected.by_kind[kind])
            start = time.perf_counter()
            try:
                connection.request(
                    "POST",
                    path,
                    body,
                    {"content-type": "application/json"} if kind != "picture" else {},
                )
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"lost: {error!r}")
                connection.close()
                continue
            self.seconds.append((kind, time.perf_counter() - start))
            if answer.status != 200:
                self.wrong.append(f"status {answer.status}: {content[:200]!r}")
                continue
            found = json.loads(content)
            self.generations.add(found["generation"])
            hits = [(hit["id"], hit["distance"]) for hit in found["hits"]]
            if hits != expected[found["generation"] > 1]:
                self.wrong.append(f"another answer: {path} {body[:100]!r}")
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--artefacts", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(args.index, Path(scratch, "index")))
        expected = Expectations(args.artefacts, folder)
        bare = bare_rates(expected)
        command = ["serve", "--artefacts", args.artefacts, "--index", str(folder)]
        service = subprocess.Popen(
            [sys.executable, "-c", "from udsph_tf.cli import run; run()", *command, "--port", "0"]
            + ["--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            report = load(service, folder, expected, args)
        finally:
            service.terminate()
            service.wait(30)
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": machine(),
        "clients": args.clients,
        "items": len(expected.ids),
        "k": K,
        "bare": bare,
        **report,
    }
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="ascii")
    print(as_markdown(report))
    if report["wrong"] or len(report["generations"]) != 3:
        print(f"{report['wrong'][:5]}, generations {report['generations']}", file=sys.stderr)
        sys.exit(1)


def bare_rates(expected: Expectations) -> dict[str, float]:
    """Encodings a second, one a call, in a thread a core."""
    rates = {}
    for kind, encode, queries in (
        ("words", expected.texts.encode, expected.words),
        ("picture", expected.images.encode, expected.pictures),
    ):
        with ThreadPoolExecutor(num_cores()) as pool:
            list(pool.map(lambda each, encode=encode: encode([each]), queries))  # warms up
            start, done = time.perf_counter(), 0
            while time.perf_counter() - start < 4:
                list(pool.map(lambda each, encode=encode: encode([each]), queries))
                done += len(queries)
            rates[kind] = done / (time.perf_counter() - start)
    return rates


def load(service: subprocess.Popen, folder: Path, expected: Expectations, args) -> dict:
    """Put the load on, change the index meanwhile, and look at the memory."""
    document = ""
    while not document.endswith("}\n"):
        line = service.stdout.readline()
        if not line:
            raise RuntimeError("the service did not start; its messages are above")
        document += line
    url = json.loads(document)["url"]
    stop = threading.Event()
    clients = [Client(url, expected, number, stop) for number in range(args.clients)]
    start = time.perf_counter()
    for client in clients:
        client.start()
    memory = []
    changes = [
        (args.seconds / 4, lambda: delete_items(folder, expected.deleted)),
        (args.seconds / 2, lambda: compact_index(folder)),
    ]
    while (now := time.perf_counter() - start) < args.seconds:
        if changes and now >= changes[0][0]:
            changes.pop(0)[1]()
        memory.append((now, resident_megabytes(service.pid)))
        time.sleep(0.5)
    stop.set()
    for client in clients:
        client.join(60)
    seconds = time.perf_counter() - start
    times = {}
    for kind, each in (pair for client in clients for pair in client.seconds):
        times.setdefault(kind, []).append(each)
        times.setdefault("all", []).append(each)
    marks = [0.1, 0.24, 0.49, 0.75, 0.99]
    shown = {
        f"{mark * args.seconds:.0f}": round(
            np.interp(mark * args.seconds, *zip(*memory, strict=True))
        )
        for mark in marks
    }
    return {
        "seconds": seconds,
        "requests": len(times["all"]),
        "rate": len(times["all"]) / seconds,
        "latency_ms": {
            kind: {
                "requests": len(each),
                "p50": 1000 * float(np.quantile(each, 0.5)),
                "p99": 1000 * float(np.quantile(each, 0.99)),
                "most": 1000 * max(each),
            }
            for kind, each in sorted(times.items())
        },
        "wrong": [each for client in clients for each in client.wrong],
        "generations": sorted(set().union(*(client.generations for client in clients))),
        "deleted": len(expected.deleted),
        "memory_mb": shown,
        "memory_most_mb": round(max(each for _, each in memory)),
    }


def resident_megabytes(process: int) -> float:
    """Memory of a process that is in RAM (Linux)."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def as_markdown(report: dict) -> str:
    """The page docs/results/service.md."""
    bare, latency = report["bare"], report["latency_ms"]
    encoding = sum(latency[kind]["requests"] / rate for kind, rate in bare.items())
    lines = [
        "# The search service under load",
        "",
        f"`{report['command']}`",
        "",
        f"{report['machine']}, shared by the service and its clients. {report['items']:,} items, "
        f"{report['clients']} clients, {report['seconds']:.0f} s, k = {report['k']}.",
        "",
        f"{report['requests']:,} answers, {report['rate']:.0f} a second; "
        f"{len(report['wrong'])} wrong, lost or refused. Every answer was compared with what was "
        f"expected. Meanwhile {report['deleted']} items were deleted and the index was compacted; "
        f"answers came from the indexes {', '.join(map(str, report['generations']))}.",
        "",
        "| question | answers | p50 ms | p99 ms | most ms | bare encoder, a second |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {each['requests']:,} | {each['p50']:.0f} | {each['p99']:.0f} | "
        f"{each['most']:.0f} | {f'{bare[kind]:.0f}' if kind in bare else '-'} |"
        for kind, each in latency.items()
    ]
    lines += [
        "",
        f"The encoders alone, one query a call and a thread a core, would have needed "
        f"{encoding:.0f} s for the words and pictures of these questions: "
        f"{encoding / report['seconds']:.0%} of the time.",
        "",
        "| second | " + " | ".join(report["memory_mb"]) + " | most |",
        "|---|" + "---|" * (len(report["memory_mb"]) + 1),
        "| resident memory of the service, MB | "
        + " | ".join(f"{each:,}" for each in report["memory_mb"].values())
        + f" | {report['memory_most_mb']:,} |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
