"""Each body of whole words from training to an export that runs elsewhere; long."""

import pytest

from udsph_tf.config import override
from udsph_tf.export import export
from udsph_tf.training import fit
from udsph_tf.training.material import run_pairs

TRAINING = {"label_epochs": 2, "separate_epochs": 1, "joint_epochs": 1, "refine_epochs": 1}


@pytest.mark.slow
@pytest.mark.parametrize("body", ["bag_of_words", "word2vec", "doc2vec"])
def test_export_of_a_body_of_whole_words_writes_the_bits_of_its_model(
    tiny_config, tiny_cache, tmp_path, body
):
    text = {"body": body, "trainable": body != "doc2vec"}
    config = override(tiny_config, {"text": text, "training": TRAINING})
    run = fit(config, tmp_path / "run", tiny_cache)
    pairs = run_pairs(run)
    verification = export(run, tmp_path / "export", pairs.take(pairs.indices("query")))
    compared = [each for name, each in found(verification) if "text" in name]
    assert compared
    assert [each["differing_bits"] for each in compared] == [0] * len(compared)


def found(table, name=""):
    """Every comparison of a verification, by its path."""
    if isinstance(table, dict):
        if "differing_bits" in table:
            yield name, table
        else:
            for key, value in table.items():
                yield from found(value, f"{name}/{key}")
