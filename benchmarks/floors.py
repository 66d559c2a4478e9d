"""The floors: what plain methods reach on our inputs, splits and measures. Markdown and JSON.

python benchmarks/floors.py --root <fashion folder> --role query --seeds 0,1,2

Settings of the methods were chosen with `--role validation`. `--unseen 8` kinds (as
`udsph fit --set data.unseen_kinds=8` draws them) are measured in trainings of their own. What has
ended is in the folder `--parts` and is not measured again: empty it after a change of the methods.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from absl import app, flags

_ROOT = flags.DEFINE_string("root", None, "the fashion folder", required=True)
_CACHE = flags.DEFINE_string("cache", None, "folder of caches")
_OUT = flags.DEFINE_string("out", "docs/results", "folder of floors.md and floors.json")
_ROLE = flags.DEFINE_enum("role", "validation", ["validation", "query"], "who searches")
_DATASETS = flags.DEFINE_list("datasets", ["fashion", "fashion-attributes"], "what is searched")
_BITS = flags.DEFINE_list("bits", ["16", "32", "64", "128"], "code lengths")
_UNSEEN = flags.DEFINE_integer("unseen", 8, "kinds left out of training; 0 for none", lower_bound=0)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "seeds of the methods; tables give the mean")
_PARTS = flags.DEFINE_string("parts", "runs/floors", "folder of what has been measured already")
_WORKERS = flags.DEFINE_integer("workers", 0, "processes; 0 for one a core", lower_bound=0)


@dataclass(frozen=True)
class Job:
    """One data set and one seed, with or without unseen kinds."""

    dataset: str
    root: str
    cache: str
    role: str
    lengths: tuple[int, ...]
    unseen: int
    seed: int
    parts: str

    def path(self) -> Path:
        """Where its result is kept."""
        lengths = "-".join(str(each) for each in self.lengths)
        name = f"{self.dataset}_{self.role}_{lengths}_{self.unseen}-unseen_seed-{self.seed}.json"
        return Path(self.parts) / name


def measured(job: Job) -> dict:
    """What `measure` returns, out of a file where it has been measured already."""
    from udsph_tf.evaluation import write_results

    if not job.path().is_file():
        result = measure(job)
        job.path().parent.mkdir(parents=True, exist_ok=True)
        write_results(job.path(), result)
    return json.loads(job.path().read_text(encoding="utf-8"))


def measure(job: Job) -> dict:
    """Run every method and score it.

    Returns:
        "rows", each with "method", "num_bits" and the measures by direction; "counts"; "unseen",
        the kinds left out, and "seconds".
    """
    import numpy as np
    from baselines.methods import Items, outcomes
    from baselines.reading import bag_of_words, image_features, standardised
    from baselines.scoring import Task, score_codes, score_vectors

    from udsph_tf.data.unseen_kinds import KIND_GROUP
    from udsph_tf.training import RunFolder, config_for
    from udsph_tf.training.material import prepare

    started = time.monotonic()
    config = config_for(job.dataset, {"data": {"root": job.root, "unseen_kinds": job.unseen}})
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        run.begin(config, resume=False)
        material = prepare(config, run, job.cache)
        unseen = run.read_json("unseen") or []
    pairs = material.pairs
    train, query = pairs.indices("train"), pairs.indices(job.role)
    groups = pairs.label_groups()
    inputs = {
        "image": standardised(image_features(material), train),
        "text": bag_of_words(pairs.texts, train),
    }
    held_out = [pairs.label_names.index(name) for name in unseen]
    if unseen:
        query = query[pairs.labels[query][:, held_out].any(axis=1)]
    task = Task(query, pairs.indices("database"), pairs.labels, groups[KIND_GROUP])
    rows = []
    for each in outcomes(Items(inputs, pairs.labels, groups, train), job.lengths, job.seed):
        score = score_codes if each.arrays["image"].dtype == np.uint8 else score_vectors
        scores = score(each.arrays, task)
        rows.append({"method": each.method, "num_bits": each.num_bits, **scores})
        done = f"{job.dataset}, {job.unseen} unseen, seed {job.seed}: {each.method}"
        print(f"{done}, {each.num_bits or 'no'} bits", file=sys.stderr, flush=True)
    return {
        "rows": rows,
        "counts": {"train": len(train), "database": len(task.database), job.role: len(query)},
        "unseen": {
            name: int(pairs.labels[query, column].sum())
            for name, column in zip(unseen, held_out, strict=True)
        },
        "seconds": round(time.monotonic() - started, 1),
    }


def main(_):
    from baselines.tables import as_markdown

    from udsph_tf.evaluation import write_results
    from udsph_tf.files import write_text
    from udsph_tf.litert import num_cores
    from udsph_tf.training.preparation import default_cache
    from udsph_tf.training.run_folder import machine, versions

    started = time.monotonic()
    workers = _WORKERS.value or num_cores()
    cache = str(_CACHE.value or default_cache())
    lengths = tuple(int(each) for each in _BITS.value)
    jobs = [
        Job(dataset, _ROOT.value, cache, _ROLE.value, lengths, unseen, int(seed), _PARTS.value)
        for dataset in _DATASETS.value
        for seed in _SEEDS.value
        for unseen in dict.fromkeys((0, _UNSEEN.value))
    ]
    # Read when the processes import NumPy and TensorFlow.
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    os.environ.update(dict.fromkeys(names, str(max(1, num_cores() // workers))))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        parts = list(pool.map(measured, jobs))
    results = {
        "command": f"python benchmarks/floors.py --root <fashion folder> --role {_ROLE.value} "
        f"--unseen {_UNSEEN.value} --seeds {','.join(_SEEDS.value)}",
        "machine": machine(),
        "versions": versions(),
        "role": _ROLE.value,
        "seeds": [int(each) for each in _SEEDS.value],
        "seconds": round(time.monotonic() - started),
        "measured": [
            {"dataset": job.dataset, "seed": job.seed, "unseen_kinds": job.unseen, **each}
            for job, each in zip(jobs, parts, strict=True)
        ],
    }
    out = Path(_OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    name = "floors" if _ROLE.value == "query" else f"floors_{_ROLE.value}"
    write_results(out / f"{name}.json", results)
    text = as_markdown(results)
    write_text(out / f"{name}.md", text)
    print(text)


if __name__ == "__main__":
    app.run(main)
