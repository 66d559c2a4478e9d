"""What the package offers, written down: a change of the API is a change of this file."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import udsph_tf

PUBLIC = {
    "udsph_tf": [
        "Config",
        "ImageEncoder",
        "Pairs",
        "RunFolder",
        "TextEncoder",
        "UDSPH",
        "__version__",
        "config_for",
        "evaluate",
        "fit",
        "index_pairs",
        "load_config",
        "open_index",
        "read_pairs",
    ],
    "udsph_tf.commands": ["COMMANDS"],
    "udsph_tf.data": [
        "CATALOGUE",
        "Dataset",
        "Pairs",
        "Problem",
        "Split",
        "apply_split",
        "check_dataset",
        "hold_out_kinds",
        "make_split",
        "multi_hot",
        "read_pairs",
        "read_split",
        "train_without_kinds",
        "write_split",
    ],
    "udsph_tf.evaluation": [
        "AttendedPair",
        "DistanceCounts",
        "EnergyTest",
        "RadiusCurve",
        "average_precision",
        "bit_balance",
        "bit_correlation",
        "bootstrap_mean_interval",
        "code_collisions",
        "count_by_distance",
        "counterpart_distances",
        "energy_test",
        "evaluate_directions",
        "evaluate_relevance",
        "evaluate_retrieval",
        "format_code_report",
        "format_table",
        "instance_recall_at_k",
        "mean_average_precision",
        "mean_ndcg",
        "mean_of_defined",
        "ndcg_at_k",
        "own_item_recall",
        "plot_attention",
        "plot_bits",
        "plot_code_distances",
        "plot_precision_at_k",
        "plot_precision_by_radius",
        "plot_precision_recall",
        "precision_at_k",
        "precision_recall_by_radius",
        "recall_at_k",
        "report_codes",
        "stable_average_precision",
        "write_results",
    ],
    "udsph_tf.export": [
        "export",
    ],
    "udsph_tf.losses": [
        "Adversarial",
        "BitBalance",
        "Classification",
        "InstanceAlignment",
        "LevelRegression",
        "LocalAlignment",
        "PairwiseLikelihood",
        "Quantization",
        "adversarial",
        "bit_balance",
        "classification",
        "discrimination",
        "graded_similarity",
        "instance_alignment",
        "jaccard_similarity",
        "level_regression",
        "level_weights",
        "local_alignment",
        "pairwise_likelihood",
        "quantization",
        "shares_label",
    ],
    "udsph_tf.networks": [
        "CrossModalAttention",
        "attach_body",
        "bag_of_words",
        "cnn_f",
        "code_writer",
        "cut",
        "discriminator",
        "doc2vec",
        "efficientnet_lite0",
        "hash_writer",
        "image_hasher",
        "image_vector",
        "keras_application",
        "keras_hub_image",
        "keras_hub_text",
        "label_net",
        "load_cnn_f_weights",
        "minilm",
        "small_cnn",
        "text_hasher",
        "text_vector",
        "word2vec",
        "wordpiece",
    ],
    "udsph_tf.search": [
        "ApproximateIndex",
        "Catalogue",
        "FaissIndex",
        "HammingIndex",
        "Hit",
        "Item",
        "ItemIndex",
        "KINDS",
        "MilvusError",
        "MilvusIndex",
        "Query",
        "ShardedIndex",
        "StoredIndex",
        "add_items",
        "asymmetric_distance",
        "compact_index",
        "delete_items",
        "draw_contact_sheet",
        "format_hits",
        "hits_as_json",
        "open_index",
        "write_index",
    ],
    "udsph_tf.serving": [
        "CodeFiles",
        "ImageEncoder",
        "IndexOptions",
        "TextEncoder",
        "encode_pairs",
        "index_codes",
        "index_codes_in_milvus",
        "index_pairs",
    ],
    "udsph_tf.serving.tf_serving": [
        "ClientSettings",
        "ServedImageEncoder",
        "ServedModel",
        "ServedTextEncoder",
        "ServingError",
    ],
    "udsph_tf.serving.web": [
        "Limits",
        "RequestError",
        "SearchEngine",
        "SearchOptions",
        "create_app",
    ],
    "udsph_tf.training": [
        "RunFolder",
        "UDSPH",
        "attend",
        "config_for",
        "evaluate",
        "fit",
    ],
}
ROOT = Path(udsph_tf.__file__).parent
MODULES = sorted(
    ".".join(("udsph_tf", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    # The probe is a script, which registers operations in the process it is run in.
    if path.name not in ("__init__.py", "probe.py")
)


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_all_of_package_is_the_list_that_was_agreed_on(package):
    assert sorted(importlib.import_module(package).__all__) == PUBLIC[package]


def test_every_subpackage_is_in_the_list():
    packages = {
        ".".join(("udsph_tf", *path.parent.relative_to(ROOT).parts))
        for path in ROOT.rglob("__init__.py")
    }
    assert packages == set(PUBLIC)


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_names_of_package_resolve(package):
    module = importlib.import_module(package)
    for name in PUBLIC[package]:
        assert getattr(module, name) is not None
    assert set(PUBLIC[package]) <= set(dir(module))


def test_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'UDSHP'"):
        udsph_tf.UDSHP  # noqa: B018


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_is_public_and_documents_it(module):
    loaded = importlib.import_module(module)
    assert loaded.__doc__, f"{module} has no docstring"
    if module != "udsph_tf.version":
        assert loaded.__all__, f"{module} has no __all__"
    for name in getattr(loaded, "__all__", ()):
        value = getattr(loaded, name)
        if inspect.isclass(value):
            assert value.__dict__.get("__doc__"), f"{module}.{name} has no docstring"
        elif inspect.isroutine(value):
            assert inspect.getdoc(value), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", MODULES)
def test_public_names_of_module_are_all_in_its_all(module):
    # Otherwise a name without underscore looks public to a reader and is not to `import *`.
    loaded = importlib.import_module(module)
    tree = ast.parse(Path(loaded.__file__).read_text(encoding="utf-8"))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert defined <= set(getattr(loaded, "__all__", ()))
