"""The configuration: frozen dataclasses, read from TOML, overridden by `section.key=value`.

Every key of a file must exist here; a misspelt one is an error that names the nearest key. The
resolved configuration is written beside the weights of every run.
"""

import dataclasses
import difflib
import json
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from udsph_tf.codes import check_num_bits

__all__ = [
    "Config",
    "DataConfig",
    "ImageConfig",
    "LossConfig",
    "NetworkConfig",
    "TextConfig",
    "TrainingConfig",
    "load_config",
    "nearest",
    "override",
    "override_section",
    "to_toml",
]

DATASETS = ("fashion", "fashion-attributes", "manifest", "openmoji")
IMAGE_BODIES = ("efficientnet_lite0", "small_cnn")
TEXT_BODIES = ("minilm", "wordpiece")
SIMILARITY_FORMS = ("levels", "likelihood")
LOCAL_FORMS = ("hinge", "likelihood")
_POSITIVE = (
    "text.vocabulary_size",
    "text.embedding_dim",
    "network.hidden_dim",
    "network.feature_dim",
    "network.local_dim",
    "loss.instance_temperature",
    "loss.local_items",
    "training.max_anchors",
    "training.validation_database",
)


@dataclass(frozen=True)
class DataConfig:
    """Which pairs, and how they are divided."""

    dataset: str = field(default="openmoji", metadata={"choices": DATASETS})
    root: str = ""
    """Folder of the data set; unused by `openmoji`, which comes out of installed packages."""
    seed: int = 0
    """Seed of the split."""
    num_query: int = 0
    """Query items; 0 takes a tenth of all items, at most 2,000."""
    num_validation: int = 0
    """Validation items; 0 takes a tenth of all items, at most 2,000."""
    num_train: int = 0
    """Training items, drawn from the database; 0 takes the whole database."""
    unseen_kinds: int = 0
    """Kinds (values of articleType) left out of training, to be searched for all the same."""
    bad_items: str = field(default="skip", metadata={"choices": ("skip", "error")})
    """What an unreadable image, an empty text or an item without label does."""


@dataclass(frozen=True)
class ImageConfig:
    """The image body."""

    body: str = field(default="small_cnn", metadata={"choices": IMAGE_BODIES})
    size: int = 64
    """Height and width in pixels that every picture is resized to."""
    trainable: bool = True
    """Train the body too; a frozen body's outputs are computed once and cached."""
    augment: bool = True
    """Random flips, shifts, turns and zooms in training; needs a trainable body."""


@dataclass(frozen=True)
class TextConfig:
    """The text body."""

    body: str = field(default="wordpiece", metadata={"choices": TEXT_BODIES})
    vocabulary_size: int = 8000
    max_tokens: int = 24
    embedding_dim: int = 256
    trainable: bool = True
    word_dropout: float = 0.0
    """Share of word pieces hidden from the text hasher in training, in [0, 1)."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes shared by the two hashers and the label net."""

    num_bits: int = 64
    hidden_dim: int = 1024
    feature_dim: int = 512
    local_dim: int = 128
    dropout: float = 0.4


@dataclass(frozen=True)
class LossConfig:
    """Weight of every term; 0 switches a term off. Letters are those of the formulas in docs."""

    feature_similarity: float = 5.0
    """a: semantic preserving, features against the label net's."""
    code_similarity: float = 5.0
    """g: semantic preserving, codes against the label net's."""
    cross_similarity: float = 5.0
    """x: codes of the two modalities against each other."""
    classification: float = 1.0
    """b: label prediction."""
    quantization: float = 0.1
    """e: distance of relaxed hashes to the shared binary codes."""
    bit_balance: float = 0.1
    """u: every bit +1 for half of the items."""
    adversarial: float = 0.01
    """d: look like the label net's features to a discriminator."""
    local: float = 0.2
    """r: cross-modal attention over regions and words."""
    similarity_form: str = field(default="levels", metadata={"choices": SIMILARITY_FORMS})
    """`likelihood` of sharing a label, or regression to graded `levels` of shared labels."""
    balance_pairs: bool = True
    """Give every level of similarity the same total weight."""
    local_form: str = field(default="hinge", metadata={"choices": LOCAL_FORMS})
    local_items: int = 32
    """Items of a batch between which the local term compares every pair."""
    gradient_penalty: float = 1.0
    """Weight of the discriminators' gradient penalty."""
    instance: float = 0.6
    """i: an item's own counterpart is nearer than the other items of its batch."""
    instance_temperature: float = 0.1


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, and from which seed."""

    seed: int = 0
    batch_size: int = 0
    """Pairs of a step; 0 makes about forty steps an epoch, of 64 to 256 pairs."""
    learning_rate: float = 1e-3
    label_epochs: int = 30
    """Stage 1a: passes of 16 steps of the label net over the semantic anchors."""
    separate_epochs: int = 5
    """Stage 1b: the two hashers, without adversary and attention."""
    joint_epochs: int = 35
    """Stage 2: every term."""
    max_anchors: int = 2048
    """Most label sets kept as semantic anchors; above it they are sampled by frequency."""
    validation_database: int = 5000
    """Most database items that validation items are searched in after each epoch."""


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
        for section in dataclasses.fields(self):
            _check_section(section.name, getattr(self, section.name))
        if self.training.label_epochs < 1 or self._hasher_epochs() < 1:
            raise ValueError(
                "`training.label_epochs` and at least one of `training.separate_epochs` and "
                "`training.joint_epochs` must be positive"
            )

    def _hasher_epochs(self) -> int:
        return self.training.separate_epochs + self.training.joint_epochs


def load_config(path: str | Path) -> Config:
    """Read a TOML file; keys that it leaves out keep their defaults.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not TOML, or a section, key, type or value is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no config file {path}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    return override(Config(), tables)


def override(config: Config, tables: dict[str, dict[str, Any]]) -> Config:
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
        if name not in sections:
            raise ValueError(f"Unknown config section `{name}`.{nearest(name, sections)}")
        if not isinstance(table, dict):
            raise ValueError(f"`{name}` must be a table of keys. Received: {name}={table!r}")
        sections[name] = override_section(sections[name], name, table)
    return Config(**sections)


def override_section(section: Any, name: str, table: dict[str, Any]) -> Any:
    """A copy of one section with some keys replaced; errors as for `override`."""
    types = get_type_hints(type(section))
    values = {}
    for key, value in table.items():
        if key not in types:
            raise ValueError(f"Unknown config key `{name}.{key}`.{nearest(key, types)}")
        values[key] = _convert(f"{name}.{key}", value, types[key])
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
    """` Did you mean ...?`, or the list of valid names where none is near.

    Example:
        >>> nearest("fashoin", ["fashion", "openmoji"])
        ' Did you mean `fashion`?'
    """
    names = sorted(names)
    matches = difflib.get_close_matches(name, names, n=1)
    if matches:
        return f" Did you mean `{matches[0]}`?"
    return " Valid names: " + ", ".join(f"`{each}`" for each in names)


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
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
            raise ValueError(f"`{name}` must not be negative. Received: {name}={value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
        if name in _POSITIVE and value == 0:
            raise ValueError(f"`{name}` must be positive. Received: {name}={value!r}")
