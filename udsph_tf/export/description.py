"""What an export says of itself in `manifest.json`, but for its files."""

import dataclasses

from udsph_tf.data.images import RESIZE_RECIPE
from udsph_tf.data.splits import read_split
from udsph_tf.files import sha256
from udsph_tf.training.run_folder import RunFolder, text_tokenizer, versions

__all__ = ["counts_by_role", "describe"]


def describe(run: RunFolder) -> dict:
    """Codes, inputs, quality, configuration and versions of a finished run."""
    config, results = run.config(), run.read_json("results")
    measure, score = run.validation_score()
    return {
        "num_bits": config.network.num_bits,
        "bit_order": "big: the first bit of a code is the most significant of the first byte",
        "bit_meaning": "1 where hash >= 0",
        "image": {
            "size": config.image.size,
            "range": [0, 255],
            "dtype": "uint8",
            "resize": RESIZE_RECIPE,
        },
        "text": {
            "encoding": "UTF-8",
            "max_tokens": config.text.max_tokens,
            "lower_case": text_tokenizer(config, run.vocabulary).lower_case,
            "vocabulary_sha256": sha256(run.vocabulary),
        },
        "validation_measure": measure,
        "validation_score": score,
        "metrics": results["summary"] if results else None,
        "config": dataclasses.asdict(config),
        "versions": versions(),
    }


def counts_by_role(run: RunFolder) -> dict[str, int]:
    """Number of items of each role in the run's split."""
    return {role: len(ids) for role, ids in read_split(run.split).roles.items()}
