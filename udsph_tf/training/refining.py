"""Refining: at last the hash heads alone, over networks that stay as they are.

While the networks learn, dropout and every other term pull at the codes. Over networks at rest a
head learns from the outputs that it will be given in use.
"""

from udsph_tf.config import Config, override
from udsph_tf.training.build import build_optimizers
from udsph_tf.training.run_folder import RunFolder
from udsph_tf.training.state import State
from udsph_tf.training.udsph import UDSPH

__all__ = ["PASSES", "start_refining"]

PASSES = 4
"""Passes over the training items in an epoch of this stage: one takes less time than validation."""


def start_refining(config: Config, run: RunFolder, model: UDSPH, state: State, steps: int) -> dict:
    """Compile the model for the stage, at the state that the run has reached.

    The stage begins with the best epoch of those before.

    Args:
        config: the run's configuration.
        run: its folder.
        model: the one that this epoch is of, compiled for its stage.
        state: how far the run has come.
        steps: of a pass over the training items.

    Returns:
        The stage's optimizers.
    """
    resumed = state.stage(state.epoch) == "refine"
    if not resumed:
        model.load_weights(run.checkpoint(state.best_before("refine")))
    training = {"learning_rate": config.training.refine_learning_rate, "warmup_epochs": 0}
    optimizers = build_optimizers(
        override(config, {"training": training}),
        hasher_steps=steps * PASSES * config.training.refine_epochs,
        label_steps=1,
    )
    model.compile(optimizers, stage="refine", precision=config.training.precision)
    if resumed:
        model.load_weights(run.checkpoint(state.epoch))
    return optimizers
