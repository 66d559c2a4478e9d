"""The configuration of a run on a data set: what suits the data, then what the user says."""

from typing import Any

from udsph_tf.config import Config, nearest, override
from udsph_tf.data import CATALOGUE
from udsph_tf.training.body_defaults import BODY_KEYS, body_defaults

__all__ = ["config_for"]


def config_for(dataset: str, tables: dict[str, dict[str, Any]] | None = None) -> Config:
    """What `udsph fit --dataset` trains: the data set's own defaults under the user's settings.

    From the weakest to the strongest: the defaults of `Config`; those of the data set; of a data
    set without labels, where `data.labels` names none, those for such; where another body is
    chosen, what suits that body; `tables`.

    Args:
        dataset: a name of `udsph datasets`.
        tables: `{section: {key: value}}`.

    Raises:
        ValueError: an unknown data set, section or key (with the nearest name), or a wrong value.

    Example:
        >>> config = config_for("fashion", {"network": {"num_bits": 32}})
        >>> config.network.num_bits, config.image.body, config.training.joint_epochs
        (32, 'efficientnet_lite0', 20)
    """
    if dataset not in CATALOGUE:
        raise ValueError(f"Unknown data set `{dataset}`.{nearest(dataset, CATALOGUE)}")
    tables = dict(tables or {})
    tables["data"] = {**tables.get("data", {}), "dataset": dataset}
    own = CATALOGUE[dataset].defaults
    config = override(Config(), _suited(own, tables))
    if not tables["data"].get("labels"):
        config = override(config, CATALOGUE[dataset].unlabelled)
    return override(config, tables)


def _suited(defaults: dict, tables: dict) -> dict:
    """A data set's defaults, without those of its body where `tables` choose another."""
    suited, own = dict(defaults), override(Config(), defaults)
    for section, of_body in BODY_KEYS.items():
        body = tables.get(section, {}).get("body")
        if body is not None and body != getattr(own, section).body:
            # What the data set says of its own body, such as its size, does not suit another.
            kept = {
                key: each for key, each in defaults.get(section, {}).items() if key not in of_body
            }
            suited[section] = {**kept, **body_defaults(section, body)}
    return suited
