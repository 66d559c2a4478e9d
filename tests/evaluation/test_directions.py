import numpy as np
import pytest

from udsph_tf.evaluation import evaluate_directions, evaluate_relevance, evaluate_retrieval


@pytest.fixture(scope="module")
def paired():
    """Image and text codes of 20 queries and 90 database items, with their labels."""
    generator = np.random.default_rng(11)
    codes = {
        name: generator.integers(0, 256, (size, 2), dtype=np.uint8)
        for name, size in (
            ("image_query", 20),
            ("text_query", 20),
            ("image_database", 90),
            ("text_database", 90),
        )
    }
    labels = {
        "query_labels": generator.integers(0, 2, (20, 4)),
        "database_labels": generator.integers(0, 2, (90, 4)),
    }
    return codes | labels


@pytest.mark.parametrize("within", [False, True])
def test_evaluate_directions_each_direction_uses_its_two_sides(paired, within):
    results = evaluate_directions(**paired, within=within)
    names = ["image_to_text", "text_to_image", "image_to_image", "text_to_text"]
    assert list(results) == names[: 4 if within else 2]
    for name, result in results.items():
        source, target = name.split("_to_")
        assert result == evaluate_retrieval(
            paired[f"{source}_query"],
            paired["query_labels"],
            paired[f"{target}_database"],
            paired["database_labels"],
        )


def test_evaluate_directions_fused_database_is_searched_from_both_modalities(paired):
    fused = paired["image_database"] ^ 1
    results = evaluate_directions(**paired, fused_database=fused)
    assert list(results) == ["image_to_text", "text_to_image", "image_to_item", "text_to_item"]
    for asked in ("image", "text"):
        assert results[f"{asked}_to_item"] == evaluate_retrieval(
            paired[f"{asked}_query"], paired["query_labels"], fused, paired["database_labels"]
        )


def test_evaluate_directions_label_group_narrows_relevance(paired):
    results = evaluate_directions(**paired, label_groups={"fine": [1, 3], "all": range(4)})
    groups = results["text_to_image"]["by_label_group"]
    assert groups["fine"] == evaluate_relevance(
        paired["text_query"],
        paired["query_labels"][:, [1, 3]],
        paired["image_database"],
        paired["database_labels"][:, [1, 3]],
    )
    assert groups["all"]["map"] == results["text_to_image"]["map"]
    assert groups["fine"]["map"] < groups["all"]["map"]
    assert groups["fine"]["num_skipped_queries"] > 0


def test_evaluate_directions_options_reach_every_direction(paired):
    results = evaluate_directions(
        **paired,
        label_groups={"fine": [0]},
        within=True,
        ks=[3],
        stable=False,
        query_instance=np.arange(20),
    )
    for name, result in results.items():
        assert list(result["precision_at_k"]) == ["3"]
        assert result["map_stable"] is result["by_label_group"]["fine"]["map_stable"] is None
        across = name in ("image_to_text", "text_to_image")
        assert ("instance_recall_at_k" in result) == across


@pytest.mark.parametrize("columns", [[], [4], [-1], [1, 1], [0.0], [[0]]])
def test_evaluate_directions_unfit_label_group_raises(paired, columns):
    with pytest.raises(ValueError, match="0 to 3. Received: 'fine': ") as caught:
        evaluate_directions(**paired, label_groups={"fine": columns})
    assert str(columns) in str(caught.value)


def test_evaluate_directions_swapped_sides_raise(paired):
    swapped = paired | {"query_labels": paired["database_labels"]}
    with pytest.raises(ValueError, match=r"`query_labels` must .* each of the 20 codes"):
        evaluate_directions(**swapped)
