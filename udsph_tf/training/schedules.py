"""The course of the learning rate over the steps of a stage."""

import keras
from keras import ops
from keras.optimizers import schedules

__all__ = ["WarmUp", "learning_rate_schedule"]


@keras.saving.register_keras_serializable(package="udsph_tf")
class WarmUp(schedules.LearningRateSchedule):
    """rate(step) = r_0 (step + 1) / steps while step < steps, then `schedule`(step - steps).

    r_0 is what `schedule` begins with. The first step moves already: a rate of 0 would waste it.

    Args:
        schedule: the schedule that follows.
        steps: steps of the warm-up, positive.

    Raises:
        ValueError: `steps` is not positive.

    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2 (gradual warm-up).

    Example:
        >>> constant = schedules.PolynomialDecay(0.4, 1, end_learning_rate=0.4)
        >>> [round(float(WarmUp(constant, 4)(step)), 3) for step in (0, 1, 3, 4, 9)]
        [0.1, 0.2, 0.4, 0.4, 0.4]
    """

    def __init__(self, schedule: schedules.LearningRateSchedule, steps: int):
        super().__init__()
        if steps < 1:
            raise ValueError(f"`steps` must be positive. Received: steps={steps}")
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = (step + 1) / self.steps
        after = self.schedule(ops.maximum(step - self.steps, 0.0))
        return ops.minimum(rise, 1.0) * after

    def get_config(self):
        return {"schedule": schedules.serialize(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(schedules.deserialize(config["schedule"]), config["steps"])


def learning_rate_schedule(
    form: str, rate: float, steps: int, warmup_steps: int = 0
) -> schedules.LearningRateSchedule:
    """A schedule over `steps` steps, the warm-up among them.

    Args:
        form: `"cosine"` or `"linear"`, from `rate` to 0, or `"constant"`.
        rate: the rate after the warm-up.
        steps: steps in all.
        warmup_steps: steps of a linear rise before, fewer than `steps`.

    Example:
        >>> linear = learning_rate_schedule("linear", 1.0, 12, warmup_steps=2)
        >>> [round(float(linear(step)), 3) for step in (0, 1, 2, 7, 12)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    left = max(1, steps - warmup_steps)
    if form == "cosine":
        schedule = schedules.CosineDecay(rate, left)
    else:
        end = rate if form == "constant" else 0.0
        schedule = schedules.PolynomialDecay(rate, left, end_learning_rate=end)
    return WarmUp(schedule, warmup_steps) if warmup_steps else schedule
