"""The configuration: frozen dataclasses, read from TOML, overridden by `section.key=value`.

Every key of a file must exist here; a misspelt one is an error that names the nearest key. The
resolved configuration is written beside the weights of every run.
"""

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from udsph_tf.codes import check_num_bits
from udsph_tf.config_sections import (
    LEVELS_KEYS,
    DataConfig,
    ImageConfig,
    LossConfig,
    NetworkConfig,
    TextConfig,
    TrainingConfig,
)

__all__ = [
    "Config",
    "DataConfig",
    "ImageConfig",
    "LossConfig",
    "NetworkConfig",
    "TextConfig",
    "TrainingConfig",
    "check_tables",
    "load_config",
    "nearest",
    "override",
    "override_section",
    "read_tables",
    "to_toml",
]

_LISTED_NAMES = 20
_POSITIVE = (
    "text.vocabulary_size",
    "text.embedding_dim",
    "text.bag_dim",
    "text.vector_epochs",
    "network.hidden_dim",
    "network.feature_dim",
    "network.local_dim",
    "loss.instance_temperature",
    "loss.local_items",
    "training.discriminator_rate",
    "training.max_anchors",
    "training.validation_database",
    "training.finetune_epochs",
    "training.finetune_learning_rate",
    "training.refine_learning_rate",
)
# Keys that only some bodies read.
_OF_BODIES = (
    ("image", "preset", ("keras_applications", "keras_hub")),
    ("image", "weights", ("cnn_f", "keras_applications", "keras_hub")),
    ("text", "preset", ("keras_hub",)),
    ("text", "weights", ("keras_hub",)),
    ("text", "vectors", ("word2vec",)),
)


@dataclass(frozen=True)
class Config:
    """A whole run."""

    data: DataConfig = field(default_factory=DataConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self):
        check_num_bits(self.network.num_bits)
        _check(self.image.size >= 32, "`image.size` must be at least 32", self.image.size)
        _check(
            self.training.batch_size != 1,
            "`training.batch_size` must be at least 2, or 0",
            self.training.batch_size,
        )
        _check(
            self.text.max_tokens >= 1, "`text.max_tokens` must be positive", self.text.max_tokens
        )
        _check(
            0 <= self.network.dropout < 1,
            "`network.dropout` must be in [0, 1)",
            self.network.dropout,
        )
        _check(
            0 <= self.text.word_dropout < 1,
            "`text.word_dropout` must be in [0, 1)",
            self.text.word_dropout,
        )
        for name, noise in (("image", self.image), ("text", self.text)):
            _check(
                0 <= noise.vector_noise <= 1,
                f"`{name}.vector_noise` must be in [0, 1]",
                noise.vector_noise,
            )
        _check(
            self.loss.overlap_power >= 1,
            "`loss.overlap_power` must be at least 1",
            self.loss.overlap_power,
        )
        for section in dataclasses.fields(self):
            _check_section(section.name, getattr(self, section.name))
        if self.image.pooling == "stages" and self.image.body != "efficientnet_lite0":
            raise ValueError(
                "`image.pooling` must be `last` for this body; `stages` needs efficientnet_lite0. "
                f"Received: image.body={self.image.body!r}"
            )
        self._check_bodies()
        lengths = self.loss.nested_lengths()
        if lengths and lengths[-1] != self.network.num_bits:
            raise ValueError(
                "The last length of `loss.nested` must be `network.num_bits`. "
                f"Received: {self.loss.nested!r} and num_bits={self.network.num_bits}"
            )
        for modality in self.finetuned():
            if getattr(self, modality).trainable:
                raise ValueError(
                    f"`training.finetune` is for a frozen body, and this run's {modality} body is "
                    f"trained from the start. Set {modality}.trainable=false and choose a body "
                    f"with pretrained weights. Received: {self.training.finetune!r}"
                )
        if self.training.label_epochs < 1 or self._hasher_epochs() < 1:
            raise ValueError(
                "`training.label_epochs` and at least one of `training.separate_epochs` and "
                "`training.joint_epochs` must be positive"
            )
        _check(
            self.training.warmup_epochs < self._hasher_epochs(),
            "`training.warmup_epochs` must be less than the epochs of the hashers",
            self.training.warmup_epochs,
        )
        _check(
            (self.training.weight_decay > 0) == (self.training.optimizer == "adamw"),
            "`training.weight_decay` must be positive with `training.optimizer` = adamw, "
            "and 0 without",
            self.training.weight_decay,
        )

    def check_effects(self) -> None:
        """For a run that begins: some settings that nothing in it would read.

        Raises:
            ValueError: `loss.overlap` or `loss.overlap_power` with the likelihood,
                `training.early_stopping` without validation items, or `training.refine_mixup`
                without the stage `refine`.
        """
        loss, training = self.loss, self.training
        for key in LEVELS_KEYS:
            only = getattr(LossConfig(), key)
            _check(
                getattr(loss, key) == only or loss.similarity_form == "levels",
                f"`loss.{key}` is for `loss.similarity_form` = levels, and the likelihood asks "
                f"only whether a label is shared. Set loss.{key}={only}",
                getattr(loss, key),
            )
        _check(
            not training.early_stopping or self.data.num_validation >= 0,
            "`training.early_stopping` waits for a better validation score, and "
            "`data.num_validation` = -1 holds no item back. Set one of them to 0",
            training.early_stopping,
        )
        _check(
            not training.refine_mixup or training.refine_epochs > 0,
            "`training.refine_mixup` mixes items in the stage `refine`, which "
            "`training.refine_epochs` = 0 leaves out. Set refine_epochs, or refine_mixup=0",
            training.refine_mixup,
        )

    def finetuned(self) -> tuple[str, ...]:
        """The modalities whose bodies are fine-tuned: `"image"`, `"text"`, both or none."""
        chosen = self.training.finetune
        return tuple(each for each in ("image", "text") if chosen in (each, "both"))

    def _check_bodies(self) -> None:
        """Keys of one body are errors with another, which would ignore them."""
        for section, key, bodies in _OF_BODIES:
            table = getattr(self, section)
            if getattr(table, key) and table.body not in bodies:
                raise ValueError(
                    f"`{section}.{key}` is for {' and '.join(bodies)}, and this body ignores it. "
                    f"Received: {section}.body={table.body!r}, "
                    f"{section}.{key}={getattr(table, key)!r}"
                )
        for section in ("image", "text"):
            table = getattr(self, section)
            if table.body in ("keras_applications", "keras_hub") and not table.preset:
                raise ValueError(
                    f"`{section}.body` = {table.body} needs `{section}.preset`, the name of a "
                    "network (such as MobileNetV2) or of a preset, or a preset's folder"
                )
        if self.text.body == "doc2vec" and self.text.trainable:
            raise ValueError(
                "A doc2vec body has nothing that the hashers could train: set text.trainable=false"
            )

    def _hasher_epochs(self) -> int:
        return self.training.separate_epochs + self.training.joint_epochs


def load_config(path: str | Path) -> Config:
    """Read a TOML file; keys that it leaves out keep their general defaults.

    `udsph_tf.training.config_for` with `read_tables` keeps those of the file's data set instead.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not TOML, or a section, key, type or value is wrong.
    """
    return override(Config(), read_tables(path))


def read_tables(path: str | Path) -> dict[str, Any]:
    """`{section: {key: value}}` of a TOML file; ranges and choices are not checked yet.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not TOML, or a section or key is unknown or of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no config file {path}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    check_tables(tables)
    return tables


def check_tables(tables: Mapping[str, Any]) -> None:
    """Names and types of `{section: {key: value}}`.

    Raises:
        ValueError: a section or key is unknown (with the nearest name) or of the wrong type.
    """
    sections = vars(Config())
    for name, table in tables.items():
        _check_table(name, table, sections)
        for key, value in table.items():
            _convert_key(sections[name], name, key, value)


def override(config: Config, tables: Mapping[str, Mapping[str, Any]]) -> Config:
    """A copy of `config` with some keys replaced.

    Args:
        config: what to start from.
        tables: `{section: {key: value}}`; strings are converted where the key is not a string.

    Raises:
        ValueError: an unknown section or key (with the nearest name), or a wrong value.

    Example:
        >>> override(Config(), {"network": {"num_bits": "32"}}).network.num_bits
        32
    """
    sections = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    for name, table in tables.items():
        _check_table(name, table, sections)
        sections[name] = override_section(sections[name], name, table)
    return Config(**sections)


def override_section(section: Any, name: str, table: Mapping[str, Any]) -> Any:
    """A copy of one section with some keys replaced; errors as for `override`."""
    values = {key: _convert_key(section, name, key, value) for key, value in table.items()}
    return dataclasses.replace(section, **values)


def to_toml(config: Config) -> str:
    """The configuration as TOML text that `load_config` reads back to an equal one."""
    lines = []
    for section, table in dataclasses.asdict(config).items():
        lines.append(f"[{section}]")
        for key, value in table.items():
            if isinstance(value, bool):
                text = "true" if value else "false"
            elif isinstance(value, str):
                # A JSON string is a TOML string, but for the one control character it leaves bare.
                text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            else:
                text = repr(value)
            lines.append(f"{key} = {text}")
        lines.append("")
    return "\n".join(lines)


def nearest(name: str, names) -> str:
    """` Did you mean ...?`, or the valid names (the first of many) where none is near.

    Example:
        >>> nearest("fashoin", ["fashion", "openmoji"])
        ' Did you mean `fashion`?'
    """
    names = sorted(names)
    # Two dashes that all flags have in common make no two of them alike.
    bare = {each.lstrip("-"): each for each in names}
    matches = difflib.get_close_matches(name.lstrip("-"), bare, n=1)
    if matches:
        return f" Did you mean `{bare[matches[0]]}`?"
    listed = ", ".join(f"`{each}`" for each in names[:_LISTED_NAMES])
    more = len(names) - _LISTED_NAMES
    return f" Valid names: {listed}" + (f" and {more:,} more" if more > 0 else "")


def _check_table(name: str, table: Any, sections: dict[str, Any]) -> None:
    if name not in sections:
        raise ValueError(f"Unknown config section `{name}`.{nearest(name, sections)}")
    if not isinstance(table, Mapping):
        raise ValueError(f"`{name}` must be a table of keys. Received: {name}={table!r}")


def _convert_key(section: Any, name: str, key: str, value: Any) -> Any:
    types = get_type_hints(type(section))
    if key not in types:
        raise ValueError(f"Unknown config key `{name}.{key}`.{nearest(key, types)}")
    return _convert(f"{name}.{key}", value, types[key])


def _convert(name: str, value: Any, to: type) -> Any:
    if to is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if to in (int, float) and isinstance(value, str):
        try:
            return to(value)
        except ValueError:
            pass
    if to is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, to) and (to is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"`{name}` must be of type {to.__name__}. Received: {name}={value!r}")


def _check(condition: bool, message: str, value: Any) -> None:
    if not condition:
        raise ValueError(f"{message}. Received: {value!r}")


def _check_section(section: str, table: Any) -> None:
    for item in dataclasses.fields(table):
        value, name = getattr(table, item.name), f"{section}.{item.name}"
        choices = item.metadata.get("choices")
        if choices and value not in choices:
            raise ValueError(f"Unknown `{name}`: {value!r}.{nearest(str(value), choices)}")
        least = -1 if name == "data.num_validation" else 0
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < least:
            raise ValueError(f"`{name}` must not be negative. Received: {name}={value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
        if name in _POSITIVE and value == 0:
            raise ValueError(f"`{name}` must be positive. Received: {name}={value!r}")
