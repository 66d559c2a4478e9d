"""The configuration of a run on a data set: what suits the data, then what the user says."""

from collections.abc import Mapping
from typing import Any

from udsph_tf.config import Config, check_tables, nearest, override
from udsph_tf.config_sections import LEVELS_KEYS
from udsph_tf.config_tables import merge_tables
from udsph_tf.data import CATALOGUE
from udsph_tf.training.body_defaults import BODY_KEYS, body_defaults

__all__ = ["config_for"]

Tables = Mapping[str, Mapping[str, Any]]


def config_for(dataset: str, tables: Tables | None = None) -> Config:
    """What `udsph fit --dataset` trains: the data set's own defaults under the user's settings.

    From the weakest to the strongest: the defaults of `Config`; those of the data set, and where
    another body is chosen, what suits that body in the place of what suits the set's own; of a data
    set without labels, where `data.labels` names none, those for such; `tables`.

    Args:
        dataset: a name of `udsph datasets`.
        tables: `{section: {key: value}}`.

    Raises:
        ValueError: an unknown data set, section or key (with the nearest name), a wrong value, or
            `tables` name another data set.

    Example:
        >>> config = config_for("fashion", {"network": {"num_bits": 32}})
        >>> config.network.num_bits, config.image.body, config.training.joint_epochs
        (32, 'efficientnet_lite0', 20)
    """
    if dataset not in CATALOGUE:
        raise ValueError(f"Unknown data set `{dataset}`.{nearest(dataset, CATALOGUE)}")
    tables = tables or {}
    check_tables(tables)
    named = tables.get("data", {}).get("dataset", dataset)
    if named != dataset:
        raise ValueError(
            f"`data.dataset` must be the data set that is asked for, {dataset!r}. "
            f"Received: {named!r}"
        )
    known = CATALOGUE[dataset]
    unlabelled = {} if tables.get("data", {}).get("labels") else known.unlabelled
    own = {"data": {"dataset": dataset}}
    suited = _suited(known.defaults, tables)
    return override(Config(), merge_tables(suited, unlabelled, tables, own))


def _suited(defaults: Tables, tables: Tables) -> dict[str, Mapping[str, Any]]:
    """A data set's defaults without what does not go with the choices in `tables`."""
    suited, own = dict(defaults), override(Config(), defaults)
    for section, of_body in BODY_KEYS.items():
        body = tables.get(section, {}).get("body")
        if body is not None and body != getattr(own, section).body:
            # What the data set says of its own body, such as its size, does not suit another.
            kept = _without(defaults.get(section, {}), of_body)
            suited[section] = {**kept, **body_defaults(section, body)}
    if tables.get("loss", {}).get("similarity_form") == "likelihood":
        suited["loss"] = _without(defaults.get("loss", {}), LEVELS_KEYS)
    return suited


def _without(table: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
