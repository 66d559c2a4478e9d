"""How far a run has come: its history, its best epoch and the weights of an epoch."""

import json
import time
from dataclasses import dataclass, field

import keras
import numpy as np

from udsph_tf.files import write_text, writing
from udsph_tf.training.run_folder import RunFolder

__all__ = ["State", "check_weights", "load_state", "save_state"]


@dataclass
class State:
    """How far a run has come; `state.json`."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -1.0
    history: list = field(default_factory=list)
    began: float = field(default_factory=time.monotonic, compare=False)
    """When this process began to train; `elapsed` of a history line counts from here."""

    def is_exhausted(self, patience: int, since: int = 0) -> bool:
        """Have `patience` epochs after epoch `since` gone by without a better score?

        Never with a patience of 0.

        Example:
            >>> state = State(epoch=7, best_epoch=4)
            >>> state.is_exhausted(3), state.is_exhausted(4), state.is_exhausted(0)
            (True, False, False)
            >>> state.is_exhausted(3, since=5)
            False
        """
        return 0 < patience <= self.epoch - max(self.best_epoch, since)

    def stage(self, epoch: int) -> str:
        """The stage of an epoch; empty before the first."""
        stages = {line["epoch"]: line["stage"] for line in self.history}
        return stages.get(epoch, "")

    def best_before(self, stage: str) -> int:
        """The best epoch of the stages before `stage`; the last one where none has a score."""
        best, score = 0, -1.0
        for line in self.history:
            if line["stage"] == stage:
                break
            if line["score"] is None or line["score"] > score:
                best, score = line["epoch"], -1.0 if line["score"] is None else line["score"]
        return best

    def network_stage(self, epoch: int) -> str:
        """The stage that an epoch's networks are of: `refine` changes their hash heads alone."""
        stage = self.stage(epoch)
        return self.stage(self.best_before(stage)) if stage == "refine" else stage

    def is_finetuned(self, epoch: int) -> bool:
        """Are the weights of an epoch those of a model whose bodies were fine-tuned?"""
        return self.network_stage(epoch) == "finetune"


def save_state(model: keras.Model, run: RunFolder, state: State) -> None:
    """Write the weights of this epoch, then the state that names them, then drop older weights.

    Raises:
        FloatingPointError: a weight is infinite or NaN; nothing is written.
    """
    check_weights(model, run, state.epoch)
    with writing(run.checkpoint(state.epoch)) as temporary:
        model.save_weights(temporary)
    lines = [json.dumps(line) + "\n" for line in state.history]
    write_text(run.history, "".join(lines))
    run.write_json(
        "state",
        {"epoch": state.epoch, "best_epoch": state.best_epoch, "best_score": state.best_score},
    )
    kept = {run.checkpoint(state.epoch), run.checkpoint(state.best_epoch)}
    for path in run.checkpoint(0).parent.iterdir():
        if path not in kept:
            path.unlink()


def load_state(model: keras.Model, run: RunFolder) -> State | None:
    """Restore the weights and optimizers of the last saved epoch; None where there is none.

    Weights of fine-tuned bodies are left alone: they are of another model, and that one's.
    """
    content = run.read_json("state")
    if content is None:
        return None
    history = [line for line in run.read_history() if line["epoch"] <= content["epoch"]]
    state = State(**content, history=history)
    if not state.is_finetuned(state.epoch):
        model.load_weights(run.checkpoint(state.epoch))
    return state


def check_weights(model: keras.Model, run: RunFolder, epoch: int) -> None:
    """Stop at weights that have left the numbers.

    Args:
        model: whose weights.
        run: where the last good state is, for the message.
        epoch: the one that they are of, for the message.

    Raises:
        FloatingPointError: a weight is infinite or NaN; the message names it.
    """
    wrong = [each.path for each in model.weights if not np.isfinite(each.numpy()).all()]
    if wrong:
        raise FloatingPointError(
            f"Not finite after epoch {epoch}: the weights {', '.join(wrong)}. The last good "
            f"state is kept in {run.path}. Lower training.learning_rate"
        )
