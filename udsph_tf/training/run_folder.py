"""The folder of one training run: what is in it, and how it is opened."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from udsph_tf.config import Config, load_config, to_toml
from udsph_tf.data.tokenizer import Tokenizer, read_vocabulary
from udsph_tf.files import sha256, write_text
from udsph_tf.litert import num_cores
from udsph_tf.version import __version__

__all__ = ["RunFolder", "machine", "score_measure", "text_tokenizer", "versions"]

# What a run writes before it has read, checked and split its data.
_FIRST_ENTRIES = {"checkpoints", "config.toml", "problems.json", "unseen.json", "versions.json"}
_PACKAGES = ("ai-edge-litert", "keras", "keras-hub", "numpy", "tensorflow", "tensorflow-text")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run, and its finished parts.

    `config.toml` (resolved), `versions.json`, `split.json`, `problems.json`, `vocabulary.txt` (with
    `text_options.json` and `word_tables.npz` where the text body has such),
    `labels.json`, `history.jsonl`, `tensorboard/`, `state.json` with `checkpoints/`, and at the end
    `model.keras`, `image_encoder.keras`, `text_encoder.keras` and `run.json`.
    With `data.unseen_kinds` also `unseen.json`, the kinds that were left out of training.
    """

    path: Path

    @property
    def split(self) -> Path:
        return self.path / "split.json"

    @property
    def vocabulary(self) -> Path:
        return self.path / "vocabulary.txt"

    @property
    def word_tables(self) -> Path:
        return self.path / "word_tables.npz"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    def checkpoint(self, epoch: int) -> Path:
        return self.path / "checkpoints" / f"epoch-{epoch:04d}.weights.h5"

    def model(self, name: str = "model") -> Path:
        return self.path / f"{name}.keras"

    def config(self) -> Config:
        """The resolved configuration."""
        return load_config(self.path / "config.toml")

    def begin(self, config: Config, resume: bool) -> None:
        """Make the folder, or check that it holds the same run.

        A run that failed before its data was split has nothing to lose, and is begun anew.

        Raises:
            FileExistsError: it exists and `resume` is not given.
            ValueError: it holds a run of another configuration.
        """
        if self.path.exists() and {each.name for each in self.path.iterdir()} - _FIRST_ENTRIES:
            if not resume:
                raise FileExistsError(
                    f"The run folder {self.path} exists. Choose another --out, or go on with "
                    "it: --resume"
                )
            changed = _differences(self.config(), config)
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with another {changed[0]}. Resume with the same "
                    "settings, or choose another --out"
                )
            return
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "checkpoints").mkdir(exist_ok=True)
        self.write_json("versions", versions())
        write_text(self.path / "config.toml", to_toml(config))

    def write_json(self, name: str, content) -> None:
        """Write `<name>.json`, whole or not at all."""
        write_text(self.path / f"{name}.json", json.dumps(content, indent=1) + "\n")

    def read_json(self, name: str):
        """Read `<name>.json`; None where it is absent.

        Raises:
            ValueError: it is damaged.
        """
        path = self.path / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    def read_history(self) -> list[dict]:
        """The lines of `history.jsonl`, one an epoch; none where it is absent.

        Raises:
            ValueError: it is damaged.
        """
        if not self.history.is_file():
            return []
        lines = self.history.read_text(encoding="utf-8").splitlines()
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise ValueError(f"{self.history} is damaged: {error}") from error

    def validation_score(self) -> tuple[str, float | None]:
        """What the best epoch of a finished run is best in, and how good; None where no item was
        held back. Runs of earlier versions, which name no measure, have one too.

        Raises:
            FileNotFoundError: there is no run, or it has not ended.
        """
        finished = self.require_finished()
        score = finished.get("validation_score", finished["validation_map"])
        return score_measure(
            self.config().training.criterion, bool(self.read_json("labels"))
        ), score

    def require_finished(self) -> dict:
        """What `run.json` says of a finished run.

        Raises:
            FileNotFoundError: there is no run, or it has not ended.
        """
        if not (self.path / "config.toml").is_file():
            raise FileNotFoundError(f"{self.path} is not a run folder; `udsph fit --out` makes one")
        finished = self.read_json("run")
        if finished is None:
            raise FileNotFoundError(
                f"The run in {self.path} has not ended. Go on with it: udsph fit ... --resume"
            )
        return finished

    def load(self, name: str = "model") -> keras.Model:
        """Load `model`, `image_encoder` or `text_encoder` in safe mode, not compiled.

        Raises:
            ValueError: the file is missing, was changed after training, or is of a version whose
                networks this one cannot read.
        """
        # Imported for its effect: it registers the classes that the file names.
        from udsph_tf.training import udsph  # noqa: F401

        path = self.model(name)
        if not path.is_file():
            raise ValueError(f"{path} is missing. Copy the run again, or train again")
        told = (self.read_json("run") or {}).get("sha256", {}).get(name)
        if told and sha256(path) != told:
            raise ValueError(f"{path} is not what training wrote: its checksum is wrong")
        try:
            return keras.models.load_model(path, compile=False, safe_mode=True)
        except (KeyError, OSError, TypeError, ValueError) as error:
            wrote = (self.read_json("versions") or {}).get("udsph-tf", "an unknown version")
            raise ValueError(
                f"{path} cannot be read by udsph-tf {__version__}; the run was made by {wrote}. "
                f"Use that version, or train again. The reason: {error}"
            ) from error


def score_measure(criterion: str, labelled: bool) -> str:
    """The name of a validation score, mean of both directions, by `training.criterion`."""
    if not labelled:
        return "mean recall@1,5,10"
    return {"map": "MAP", "ndcg": "NDCG@100"}[criterion]


def text_tokenizer(config: Config, vocabulary: Path) -> Tokenizer:
    """The tokenizer of a run's text body.

    `text_options.json` beside the vocabulary says what stands around every text (`first`, `last`)
    and whether it is put in `lower_case`; without the file nothing does, and it is.
    """
    said = vocabulary.with_name("text_options.json")
    if said.is_file():
        options = json.loads(said.read_text(encoding="utf-8"))
    else:
        # Runs of MiniLM from before the file have the pieces of BERT.
        options = {"first": "[CLS]", "last": "[SEP]"} if config.text.body == "minilm" else {}
    return Tokenizer(read_vocabulary(vocabulary), config.text.max_tokens, **options)


def machine() -> str:
    """The processor and the cores that this process may use, such as `x86_64, 2 cores`."""
    cores = num_cores()
    return f"{platform.machine()}, {cores} core" + "s" * (cores > 1)


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of those that shape its results."""
    found = {"python": platform.python_version(), "udsph-tf": __version__}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def _differences(old: Config, new: Config) -> list[str]:
    old, new = asdict(old), asdict(new)
    return [
        f"{section}.{key} ({old[section][key]!r}, not {value!r})"
        for section, table in new.items()
        for key, value in table.items()
        if old[section][key] != value
        # One folder, however it is written.
        and not (key == "root" and Path(old[section][key]).resolve() == Path(value).resolve())
    ]
