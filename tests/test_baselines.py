"""The plain methods of the benchmarks, and that their scores are those of the evaluation."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from udsph_tf.codes import pack, unpack
from udsph_tf.evaluation import count_by_distance, evaluate_directions, mean_of_defined, ndcg_at_k

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FINE = [3, 4, 5, 6]


@pytest.fixture(scope="module")
def baselines():
    """The modules of benchmarks/baselines, which are imported as its programs import them."""
    sys.path.insert(0, str(BENCHMARKS))
    names = ("classifiers", "methods", "projections", "reading", "scoring", "tables")
    modules = {name: importlib.import_module(f"baselines.{name}") for name in names}
    sys.path.remove(str(BENCHMARKS))
    return SimpleNamespace(**modules)


@pytest.fixture(scope="module")
def task(baselines):
    """Eleven queries, 49 database items; three coarse and four fine labels, one of each an item."""
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 7), np.uint8)
    labels[np.arange(60), rng.integers(0, 3, 60)] = 1
    labels[np.arange(60), rng.integers(3, 7, 60)] = 1
    rows = rng.permutation(60)
    return baselines.scoring.Task(rows[:11], rows[11:], labels, FINE)


@pytest.fixture(scope="module")
def packed():
    """Codes of 16 bits, some of them equal."""
    rng = np.random.default_rng(1)
    book = rng.choice([-1, 1], (9, 16))
    return {name: pack(book[rng.integers(0, 9, 60)]) for name in ("image", "text")}


def test_score_codes_are_the_measures_of_the_evaluation(baselines, task, packed):
    scores = baselines.scoring.score_codes(packed, task)
    query, database = task.query, task.database
    expected = evaluate_directions(
        packed["image"][query],
        packed["text"][query],
        packed["image"][database],
        packed["text"][database],
        task.labels[query],
        task.labels[database],
        label_groups={"fine": FINE},
    )
    for name, (asking, answering) in baselines.scoring.DIRECTIONS.items():
        assert scores[name]["coarse"] == pytest.approx(expected[name]["map"])
        fine = expected[name]["by_label_group"]["fine"]["map"]
        assert scores[name]["fine"] == pytest.approx(fine)
        counts = count_by_distance(
            packed[asking][query],
            task.labels[query],
            packed[answering][database],
            task.labels[database],
        )
        ndcg = mean_of_defined(ndcg_at_k(counts, 100, "exponential"))
        assert scores[name]["ndcg"] == pytest.approx(ndcg)
        instance = evaluate_directions(
            packed["image"][query],
            packed["text"][query],
            np.concatenate([packed["image"][query], packed["image"][database]]),
            np.concatenate([packed["text"][query], packed["text"][database]]),
            task.labels[query],
            task.labels[np.concatenate([query, database])],
            query_instance=np.arange(len(query)),
        )[name]["instance_recall_at_k"]
        for k in (1, 10):
            assert scores[name][f"recall_{k}"] == pytest.approx(instance[str(k)])


def test_score_vectors_of_codes_are_the_scores_of_the_codes(baselines, task, packed):
    # The inner product of codes of +1 and -1 falls as their distance grows, and ties with it.
    vectors = {name: unpack(each).astype(np.float32) / 4 for name, each in packed.items()}
    of_vectors = baselines.scoring.score_vectors(vectors, task)
    of_codes = baselines.scoring.score_codes(packed, task)
    for name, scores in of_codes.items():
        assert of_vectors[name] == pytest.approx(scores)


def test_bag_of_words_counts_training_texts_alone(baselines):
    texts = ["Red shoes", "red hat", "Blue, blue BLUE hat"]
    bag = baselines.reading.bag_of_words(texts, np.array([0, 1]), 2)
    # red twice; hat and shoes once each, of which hat comes first in the alphabet.
    assert bag.tolist() == [[1, 0], [1, 1], [0, 1]]


def test_standardised_constant_column_is_zero(baselines):
    features = np.array([[1.0, 2.0], [3.0, 2.0], [9.0, 5.0]])
    done = baselines.reading.standardised(features, np.array([0, 1]))
    assert done.tolist() == [[-1, 0], [1, 0], [7, 3]]


def test_canonical_correlations_finds_what_two_views_share(baselines):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(500, 2))
    first = np.concatenate([shared, rng.normal(size=(500, 3))], axis=1) @ rng.normal(size=(5, 5))
    second = np.concatenate([shared, rng.normal(size=(500, 2))], axis=1) @ rng.normal(size=(4, 4))
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    found = baselines.projections.canonical_correlations(first, second, 1e-6)
    assert found.correlations[:2] == pytest.approx([1, 1], abs=1e-3)
    assert found.correlations[2] < 0.3
    views = first @ found.first[:, :2], second @ found.second[:, :2]
    np.testing.assert_allclose(views[0], views[1], atol=0.1)
    np.testing.assert_allclose(views[0].T @ views[0] / 500, np.eye(2), atol=0.01)


@pytest.mark.parametrize("num_bits", [8, 16, 24])
def test_quantizing_rotation_loses_less_than_a_random_one(baselines, num_bits):
    rng = np.random.default_rng(0)
    vectors = rng.choice([-1.0, 1.0], (400, 12)) @ rng.normal(size=(12, 16))
    projections = baselines.projections

    def loss(rounds):
        projected = vectors @ projections.quantizing_rotation(vectors, num_bits, 0, rounds)
        return np.square(np.where(projected >= 0, 1, -1) - projected).sum()

    assert loss(50) < loss(0)


@pytest.mark.parametrize(("dim", "num_bits"), [(7, 3), (7, 16), (16, 16)])
def test_random_directions_are_orthogonal_within_their_dimension(baselines, dim, num_bits):
    found = baselines.projections.random_directions(dim, num_bits, 3)
    assert found.shape == (dim, num_bits)
    few = found[:, : min(dim, num_bits)]
    np.testing.assert_allclose(few.T @ few, np.eye(few.shape[1]), atol=1e-5)
    np.testing.assert_array_equal(found, baselines.projections.random_directions(dim, num_bits, 3))


def test_outcomes_give_every_row_once_and_beat_random_order(baselines, task, monkeypatch):
    methods = baselines.methods
    monkeypatch.setattr(methods, "_DIRECTIONS", 4)
    for settings in methods._CLASSIFIERS.values():
        for each in settings.values():
            monkeypatch.setitem(each, "epochs", 60)
            monkeypatch.setitem(each, "learning_rate", 0.05)
            monkeypatch.setitem(each, "hidden", min(16, each["hidden"]))
    rng = np.random.default_rng(2)
    inputs = {
        name: (task.labels @ rng.normal(size=(7, 20))).astype(np.float32)
        for name in ("image", "text")
    }
    groups = {"coarse": [0, 1, 2], "fine": FINE}
    items = methods.Items(inputs, task.labels, groups, task.database[:40])
    found = list(methods.outcomes(items, (8, 16), seed=0))
    assert len({(each.method, each.num_bits) for each in found}) == len(found)
    # Random order, three real-valued rows, and eight methods at two lengths each.
    assert len(found) == 4 + 8 * 2
    fine = {}
    for each in found:
        codes = each.arrays["image"].dtype == np.uint8
        score = baselines.scoring.score_codes if codes else baselines.scoring.score_vectors
        scores = score(each.arrays, task)
        fine[each.method, each.num_bits] = scores["image_to_text"]["fine"]
        if each.num_bits:
            assert each.arrays["text"].shape == (60, each.num_bits // 8)
    chance = fine.pop(("random order", None))
    assert min(fine.values()) > chance
    assert fine["two-layer classifiers, real-valued", None] > 2 * chance


def test_as_markdown_gives_means_over_seeds(baselines):
    def run(seed, value, unseen=0):
        scores = dict.fromkeys(("coarse", "fine", "ndcg", "recall_1", "recall_10"), value)
        row = {"method": "m", "num_bits": 8, "image_to_text": scores, "text_to_image": scores}
        return {
            "dataset": "fashion",
            "seed": seed,
            "unseen_kinds": unseen,
            "rows": [row],
            "counts": {"train": 10, "database": 20, "query": 3},
            "unseen": {"articleType=Belts": 3} if unseen else {},
        }

    text = baselines.tables.as_markdown(
        {
            "command": "python x",
            "machine": "none",
            "versions": dict.fromkeys(("python", "tensorflow", "keras", "numpy"), "1"),
            "role": "query",
            "seeds": [0, 1],
            "seconds": 1,
            "measured": [run(0, 0.25), run(1, 0.5), run(0, 0.1, 8), run(1, 0.1, 8)],
        }
    )
    assert "| m | 8 | 0.375 | 0.375 | 0.375 | 0.375 | 0.375 | 0.375 |" in text
    assert "Belts (3)" in text
    assert "| m | 8 | 0.100 | 0.100 |" in text
