"""What happens after each epoch of the hashers: validation, a saved state, a line to read."""

import math
import sys
import time

import keras
import numpy as np
from tqdm import tqdm

from udsph_tf.codes import unpack
from udsph_tf.config_sections import TrainingConfig
from udsph_tf.evaluation import (
    bit_balance,
    bit_correlation,
    mean_average_precision,
    mean_ndcg,
)
from udsph_tf.training.coding import Coder
from udsph_tf.training.instances import recall_both_ways
from udsph_tf.training.material import Material
from udsph_tf.training.run_folder import RunFolder, score_measure
from udsph_tf.training.state import State, check_weights, save_state

__all__ = ["AfterEpoch", "StopNotFinite", "Validation", "check_finite"]


class Validation:
    """Scores of validation items against a fixed sample of the database.

    Where there are no labels: how often a validation item finds its own sentences, or its picture,
    among those of all validation items; the mean of recall at 1, 5 and 10.

    Args:
        model: the model that is trained.
        material: its pairs and inputs.
        training: how many database items at most, the seed of the sample, and the criterion.
    """

    def __init__(self, model, material: Material, training: TrainingConfig):
        self._image, self._text = Coder(model.image_hasher), Coder(model.text_hasher)
        self._material = material
        self._queries = material.pairs.indices("validation")
        database = material.pairs.indices("database")
        most = training.validation_database
        if len(database) > most:
            rng = np.random.default_rng(training.seed)
            database = np.sort(rng.choice(database, most, replace=False))
        self._database = database
        self._criterion = training.criterion
        self.measure = score_measure("map", bool(material.pairs.label_names))
        """Of the two directions; the score is their mean, or that of NDCG."""

    def __call__(self) -> dict[str, float]:
        """Of the validation items, all in [0, 1]: tie-averaged MAP@all `image_to_text` and
        `text_to_image`, also with `_ndcg` where that is the criterion; the `score` to choose by,
        mean of both directions; `image_bit_balance`, `image_bit_correlation` of their codes, and
        the same for `text`."""
        labels, items = self._material.pairs.labels, self._material.items
        asked, found = (
            {
                "image": self._image.packed(self._material.image.take(rows)),
                "text": self._text.packed(self._material.text.take(rows)),
            }
            for rows in (self._queries, self._database)
        )

        values = {}
        if labels.shape[1]:
            for query, database in (("image", "text"), ("text", "image")):
                pairs = (
                    asked[query],
                    labels[self._queries],
                    found[database],
                    labels[self._database],
                )
                name = f"{query}_to_{database}"
                values[name] = mean_average_precision(*pairs)
                if self._criterion == "ndcg":
                    values[f"{name}_ndcg"] = mean_ndcg(*pairs)
        else:
            nothing = {modality: packed[:0] for modality, packed in asked.items()}
            owners = None if items is None else items[self._queries]
            recalls = recall_both_ways(asked, nothing, owners, None)
            values |= {name: float(np.mean([*each.values()])) for name, each in recalls.items()}
        suffix = "_ndcg" if "image_to_text_ndcg" in values else ""
        values["score"] = (values["image_to_text" + suffix] + values["text_to_image" + suffix]) / 2
        for modality, packed in asked.items():
            values[f"{modality}_bit_balance"] = bit_balance(unpack(packed))
            values[f"{modality}_bit_correlation"] = bit_correlation(unpack(packed))
        return values


class AfterEpoch(keras.callbacks.Callback):
    """Validate, save and report after each epoch; the best epoch is that of the best score.

    Args:
        run: the run folder.
        state: how far the run has come; updated.
        validation: what scores an epoch; None where no item is held back, and the best epoch is
            the last one.
        stage: the stage's name, for the report.
        total_epochs: epochs of all hasher stages together.
        patience: epochs without a better score after which training stops; 0 never stops it.
        since: the epoch that patience begins to count at.
    """

    def __init__(
        self,
        run: RunFolder,
        state: State,
        validation: Validation | None,
        stage: str,
        total_epochs: int,
        patience: int = 0,
        since: int = 0,
    ):
        super().__init__()
        self._run, self._state, self._validation = run, state, validation
        self._stage, self._total = stage, total_epochs
        self._patience, self._since = patience, since
        self._bar, self._started = None, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()
        self._bar = tqdm(
            total=self.params["steps"],
            desc=f"epoch {epoch + 1}",
            leave=False,
            unit="step",
            disable=not sys.stderr.isatty(),
        )

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()
        # At once: a step later every term is infected, and none tells where it began.
        check_finite(
            logs,
            f"in epoch {self._state.epoch + 1}, step {batch + 1}",
            f"The last good state is kept in {self._run.path}. ",
        )

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()
        logs = {name: float(value) for name, value in logs.items()}
        logs["learning_rate"] = float(self.model.image_optimizer.learning_rate)
        trained = time.monotonic() - self._started
        # Before anything is computed of them: the last step's weights may not be numbers.
        check_weights(self.model, self._run, epoch + 1)
        scores = self._validation() if self._validation else {"score": None}
        state, epoch, score = self._state, epoch + 1, scores["score"]
        if score is None:
            state.best_epoch = epoch
        elif score > state.best_score:
            state.best_epoch, state.best_score = epoch, score
        state.epoch = epoch
        elapsed = time.monotonic() - state.began
        state.history.append(
            {
                "epoch": epoch,
                "stage": self._stage,
                "seconds": trained,
                "elapsed": elapsed,
                **scores,
                **logs,
            }
        )
        save_state(self.model, self._run, state)
        line = f"epoch {epoch:3d}/{self._total}  {self._stage:8s}  loss {logs['loss']:.4f}  "
        if score is not None:
            line += (
                f"validation {self._validation.measure} "
                f"image->text {scores['image_to_text']:.4f} "
                f"text->image {scores['text_to_image']:.4f}  "
            )
        if "image_to_text_ndcg" in scores:
            line += f"NDCG {scores['image_to_text_ndcg']:.4f} {scores['text_to_image_ndcg']:.4f}  "
        mark = "  best" if score is not None and state.best_epoch == epoch else ""
        tqdm.write(f"{line}{trained:.1f} s{mark}", file=sys.stderr)
        if state.is_exhausted(self._patience, self._since):
            tqdm.write(
                f"no better validation score in {self._patience} epochs: stopped", file=sys.stderr
            )
            self.model.stop_training = True


class StopNotFinite(keras.callbacks.Callback):
    """Stop at the first step whose loss has left the numbers.

    Args:
        when: where in the run, for the message.
    """

    def __init__(self, when: str):
        super().__init__()
        self._when, self._epoch = when, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        check_finite(logs, f"{self._when}, epoch {self._epoch}, step {batch + 1}")


def check_finite(logs: dict, when: str, kept: str = "") -> None:
    """Stop training whose loss has left the numbers.

    Args:
        logs: values of the loss and its terms by name.
        when: where in the run, for the message.
        kept: what is left of the run, for the message.

    Raises:
        FloatingPointError: a value is infinite or NaN; the message names the terms.
    """
    wrong = [name for name, value in logs.items() if not math.isfinite(value)]
    if wrong:
        names = [name for name in wrong if name != "loss"] or wrong
        raise FloatingPointError(
            f"Not finite {when}: the loss term {', '.join(names)}. {kept}"
            "Lower training.learning_rate"
        )
