"""Training: the model with its own step, the stages, runs and their evaluation."""

from udsph_tf.training.attending import attend
from udsph_tf.training.configuring import config_for
from udsph_tf.training.evaluating import evaluate
from udsph_tf.training.fitting import fit
from udsph_tf.training.run_folder import RunFolder
from udsph_tf.training.udsph import UDSPH

__all__ = ["UDSPH", "RunFolder", "attend", "config_for", "evaluate", "fit"]
