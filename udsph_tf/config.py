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

DATASETS = (
    "fashion",
    "fashion-attributes",
    "manifest",
    "mirflickr724",
    "openmoji",
    "wikipedia",
)
IMAGE_BODIES = ("efficientnet_lite0", "small_cnn", "vector")
TEXT_BODIES = ("minilm", "vector", "wordpiece")
IMAGE_POOLINGS = ("last", "stages")
VECTOR_FORMS = ("hellinger", "plain")
SIMILARITY_FORMS = ("levels", "likelihood")
OVERLAPS = ("dice", "jaccard")
ADVERSARIAL_ON = ("features", "hash")
LOCAL_FORMS = ("hinge", "likelihood")
SCHEDULES = ("constant", "cosine", "linear")
OPTIMIZERS = ("adam", "adamw")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_LISTED_NAMES = 20
FINETUNE = ("none", "image", "text", "both")
_POSITIVE = (
    "text.vocabulary_size",
    "text.embedding_dim",
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
    """Query items; 0 takes a tenth of all items, at most 2,000, or those the data set fixes."""
    num_validation: int = 0
    """Validation items; 0 takes a tenth of all items, at most 2,000. With -1 none is held back:
    for a last run after choosing, which keeps its last epoch."""
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
    pooling: str = field(default="last", metadata={"choices": IMAGE_POOLINGS})
    """What the body's pooled vector is made of: its `last` layer, or all its `stages` (Lite0)."""
    trainable: bool = True
    """Train the body too; a frozen body's outputs are computed once and cached."""
    augment: bool = True
    """Random flips, shifts, turns and zooms in training; needs a trainable body."""
    vector_form: str = field(default="plain", metadata={"choices": VECTOR_FORMS})
    """What the body `vector`, which has nothing to train, does before it standardises: nothing, or
    square roots of shares (`hellinger`, for counts)."""
    vector_noise: float = 0.0
    """Deviation of the noise that `vector` adds in training, in [0, 1]; 1 is the vectors' own."""


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
    whole_words: bool = False
    """Keep every training word as one piece, for words whose spelling says nothing; `wordpiece`."""
    vector_form: str = field(default="plain", metadata={"choices": VECTOR_FORMS})
    vector_noise: float = 0.0
    """Both as in `image`."""


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
    overlap: str = field(default="dice", metadata={"choices": OVERLAPS})
    """Target of a pair in the form `levels`: how far its two label sets overlap."""
    balance_pairs: bool = True
    """Give every level of similarity the same total weight."""
    local_form: str = field(default="hinge", metadata={"choices": LOCAL_FORMS})
    local_items: int = 32
    """Items of a batch between which the local term compares every pair."""
    gradient_penalty: float = 1.0
    """Weight of the discriminators' gradient penalty."""
    adversarial_on: str = field(default="features", metadata={"choices": ADVERSARIAL_ON})
    """What the discriminators look at."""
    adversarial_labels: bool = False
    """Show the discriminators the labels too."""
    adversarial_noise: float = 0.0
    """Length of the noise on what they see, where a sample has length 1."""
    adversarial_spectral_norm: bool = False
    """Divide the discriminators' kernels by their largest singular values."""
    adversarial_warmup: int = 0
    """Steps of the joint stage over which the adversarial weight rises to its whole."""
    adversarial_decay: int = 0
    """Steps after that over which it falls to 0; 0 keeps it."""
    instance: float = 0.6
    """i: an item's own counterpart is nearer than the other items of its batch."""
    instance_temperature: float = 0.1
    nested: str = ""
    """Code lengths such as `16,32,64,128`: the first so many bits are good codes by themselves.
    The last must be `network.num_bits`; empty trains that length alone."""

    def nested_lengths(self) -> tuple[int, ...]:
        """`nested` as numbers; empty where it is.

        Raises:
            ValueError: a length is not a positive multiple of 8, or they do not grow.
        """
        try:
            lengths = tuple(check_num_bits(int(each)) for each in self.nested.split(",") if each)
        except ValueError as error:
            raise ValueError(
                "`loss.nested` must be code lengths such as 16,32,64: multiples of 8. "
                f"Received: {self.nested!r}"
            ) from error
        if list(lengths) != sorted(set(lengths)):
            raise ValueError(f"`loss.nested` must grow. Received: {self.nested!r}")
        return lengths


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, and from which seed."""

    seed: int = 0
    batch_size: int = 0
    """Pairs of a step; 0 makes about forty steps an epoch, of 64 to 256 pairs."""
    learning_rate: float = 1e-3
    discriminator_rate: float = 1.0
    """Learning rate of the discriminators as a multiple of `learning_rate`."""
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
    schedule: str = field(default="cosine", metadata={"choices": SCHEDULES})
    """Course of the learning rate over both hasher stages: down to 0, or constant."""
    warmup_epochs: int = 0
    """Epochs in which the rate of hashers and discriminators rises from 0 to `learning_rate`."""
    optimizer: str = field(default="adam", metadata={"choices": OPTIMIZERS})
    weight_decay: float = 0.0
    """Decoupled weight decay; for `adamw`, and for it alone."""
    gradient_clip: float = 5.0
    """Longest gradient of a group of variables (global norm); 0 leaves gradients as they are."""
    early_stopping: int = 0
    """Epochs without a better validation MAP after which a run ends; 0 never ends it early."""
    precision: str = field(default="float32", metadata={"choices": PRECISIONS})
    """What the hashers compute in within training steps; everything saved is float32."""
    finetune: str = field(default="none", metadata={"choices": FINETUNE})
    """Frozen bodies that go on learning, with both hashers, after the joint stage."""
    finetune_epochs: int = 3
    finetune_learning_rate: float = 1e-4
    finetune_from: str = "block5a"
    """The first block of the image body that learns; what is below it is computed once and cached.
    Empty: the whole body, from pixels, with `image.augment`."""


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
        for section in dataclasses.fields(self):
            _check_section(section.name, getattr(self, section.name))
        if self.image.pooling == "stages" and self.image.body != "efficientnet_lite0":
            raise ValueError(
                "`image.pooling` must be `last` for this body; `stages` needs efficientnet_lite0. "
                f"Received: image.body={self.image.body!r}"
            )
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

    def finetuned(self) -> tuple[str, ...]:
        """The modalities whose bodies are fine-tuned: `"image"`, `"text"`, both or none."""
        chosen = self.training.finetune
        return tuple(each for each in ("image", "text") if chosen in (each, "both"))

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
    """` Did you mean ...?`, or the valid names (the first of many) where none is near.

    Example:
        >>> nearest("fashoin", ["fashion", "openmoji"])
        ' Did you mean `fashion`?'
    """
    names = sorted(names)
    matches = difflib.get_close_matches(name, names, n=1)
    if matches:
        return f" Did you mean `{matches[0]}`?"
    listed = ", ".join(f"`{each}`" for each in names[:_LISTED_NAMES])
    more = len(names) - _LISTED_NAMES
    return f" Valid names: {listed}" + (f" and {more:,} more" if more > 0 else "")


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
