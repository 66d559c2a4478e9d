import json

import numpy as np
import pytest

from udsph_tf.evaluation import (
    average_precision,
    count_by_distance,
    evaluate_relevance,
    evaluate_retrieval,
    instance_recall_at_k,
    mean_average_precision,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    stable_average_precision,
)
from udsph_tf.evaluation.instance_recall import counterpart_distances

KEYS = [
    "map",
    "map_interval",
    "map_stable",
    "num_queries",
    "num_skipped_queries",
    "map_at_k",
    "precision_at_k",
    "recall_at_k",
    "ndcg_at_k",
    "ndcg_exponential_at_k",
    "precision_recall_by_radius",
    "num_database",
    "num_bits",
]


def test_evaluate_retrieval_random_case_agrees_with_each_measure(random_case):
    result = evaluate_retrieval(*random_case, ks=[1, 10, 1000])
    counts = count_by_distance(*random_case)
    np.testing.assert_allclose(result["map"], np.nanmean(average_precision(counts)))
    np.testing.assert_allclose(
        result["map_stable"], np.nanmean(stable_average_precision(*random_case))
    )
    low, high = result["map_interval"]
    assert low < result["map"] < high
    for key, measure in {
        "map_at_k": average_precision,
        "precision_at_k": precision_at_k,
        "recall_at_k": recall_at_k,
        "ndcg_at_k": ndcg_at_k,
    }.items():
        assert list(result[key]) == ["1", "10", "1000"]
        for k, value in result[key].items():
            np.testing.assert_allclose(value, np.nanmean(measure(counts, int(k))))
    assert (result["num_queries"], result["num_database"], result["num_bits"]) == (40, 380, 16)


def test_evaluate_retrieval_result_survives_json(random_case):
    result = evaluate_retrieval(*random_case)
    assert list(result) == KEYS
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_evaluate_retrieval_skipped_query_changes_no_mean(hand_case):
    query, query_labels, database, database_labels = hand_case
    alone = evaluate_retrieval(*hand_case)
    with_skipped = evaluate_retrieval(
        np.concatenate([query, query]),
        np.concatenate([query_labels, np.zeros_like(query_labels)]),
        database,
        database_labels,
    )
    assert alone.pop("num_skipped_queries") == 0
    assert with_skipped.pop("num_skipped_queries") == 1
    assert alone.pop("num_queries") == 1
    assert with_skipped.pop("num_queries") == 2
    assert alone == with_skipped


def test_evaluate_retrieval_every_query_skipped_is_undefined_not_zero():
    codes = np.zeros((1, 1), dtype=np.uint8)
    result = evaluate_retrieval(
        codes, [[0, 1]], codes, [[1, 0]], ks=[1], query_instance=np.array([0])
    )
    assert result["map"] is result["map_interval"] is result["map_stable"] is None
    assert result["precision_at_k"] == result["ndcg_at_k"] == {"1": None}
    assert set(result["precision_recall_by_radius"]["precision"]) == {None}
    assert set(result["precision_recall_by_radius"]["answered"]) == {None}
    assert result["num_skipped_queries"] == 1
    assert result["instance_recall_at_k"] == {"1": 1.0}
    json.dumps(result, allow_nan=False)


def test_evaluate_retrieval_radius_counts_answered_queries_only_in_precision():
    # Query 0 finds its relevant item at radius 0; query 1 finds an irrelevant one at radius 1.
    # Radius 0: precision 1 over one answered query, recall (1 + 0) / 2.
    # Radius 1: precision (1 + 0) / 2. Radius 8: (1/2 + 1/2) / 2, recall 1.
    query = np.array([[0b00000000], [0b11111110]], dtype=np.uint8)
    database = np.array([[0b00000000], [0b11111111]], dtype=np.uint8)
    labels = np.array([[1, 0], [0, 1]])
    result = evaluate_retrieval(query, [[1, 0], [1, 0]], database, labels)
    curve = result["precision_recall_by_radius"]
    assert curve["radius"] == list(range(9))
    assert curve["precision"][:2] == [1.0, 0.5]
    assert curve["recall"][:2] == [0.5, 0.5]
    assert curve["answered"][:2] == [0.5, 1.0]
    assert (curve["precision"][8], curve["recall"][8], curve["answered"][8]) == (0.5, 1.0, 1.0)


def test_evaluate_retrieval_query_instance_adds_instance_recall(random_case):
    instance = np.arange(40) - 1
    result = evaluate_retrieval(*random_case, ks=[5], query_instance=instance)
    distances = counterpart_distances(random_case[0], random_case[2], instance)
    expected = np.nanmean(instance_recall_at_k(count_by_distance(*random_case), distances, 5))
    np.testing.assert_allclose(result["instance_recall_at_k"]["5"], expected)
    assert result["num_instance_queries"] == 39


def test_evaluate_retrieval_not_stable_leaves_the_rest_equal(random_case):
    result = evaluate_retrieval(*random_case, stable=False)
    assert result["map_stable"] is None
    expected = evaluate_retrieval(*random_case)
    assert result == expected | {"map_stable": None}


def test_evaluate_retrieval_other_seed_moves_the_interval_only(random_case):
    first, second = (evaluate_retrieval(*random_case, seed=seed) for seed in (0, 1))
    assert first.pop("map_interval") != second.pop("map_interval")
    assert first == second


@pytest.mark.parametrize(
    "option, message",
    [
        ({"ks": [5, 0]}, r"`k` must be a positive integer\. Received: k=0"),
        ({"bootstrap_resamples": 0}, r"`resamples` must be a positive integer"),
        ({"query_instance": np.array([9])}, r"`query_instance` must be rows of the database"),
    ],
)
def test_evaluate_retrieval_unfit_option_raises(hand_case, option, message):
    with pytest.raises(ValueError, match=message):
        evaluate_retrieval(*hand_case, **option)


def test_evaluate_relevance_random_case_is_part_of_the_full_report(random_case):
    short, full = evaluate_relevance(*random_case), evaluate_retrieval(*random_case)
    assert short == {key: full[key] for key in KEYS[:5]}


def test_mean_average_precision_random_case_equals_report(random_case):
    assert mean_average_precision(*random_case) == evaluate_retrieval(*random_case)["map"]


def test_mean_average_precision_no_relevant_item_raises():
    codes = np.zeros((2, 1), dtype=np.uint8)
    labels = np.array([[0, 1], [0, 1]])
    with pytest.raises(ValueError, match="Received: 2 queries without a relevant item"):
        mean_average_precision(codes, labels, codes, 1 - labels)
