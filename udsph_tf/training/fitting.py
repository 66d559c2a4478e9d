"""One whole training run, stage by stage."""

import logging
import time
from pathlib import Path

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.files import sha256, writing
from udsph_tf.training.batches import (
    anchor_batches,
    choose_batch_size,
    pair_batches,
    steps_per_epoch,
)
from udsph_tf.training.build import build_model, build_optimizers, semantic_anchors
from udsph_tf.training.callbacks import AfterEpoch, StopNotFinite, Validation
from udsph_tf.training.coding import head_inputs
from udsph_tf.training.finetuning import start_finetuning
from udsph_tf.training.logs import TensorBoardLog
from udsph_tf.training.material import Material, prepare
from udsph_tf.training.refining import PASSES, start_refining
from udsph_tf.training.run_folder import RunFolder
from udsph_tf.training.state import State, load_state, save_state

__all__ = ["fit"]

_LOG = logging.getLogger(__name__)
_LABEL_STEPS = 16
_LABEL_BATCH = 256
_ADAPTED_ITEMS = 4096


def fit(config: Config, out: str | Path, cache: str | Path, *, resume: bool = False) -> RunFolder:
    """Train, keeping the epoch with the best validation score (the last one without validation).

    A killed run goes on from its last whole epoch with `resume=True`, and ends as it would have
    ended without the kill.

    Args:
        config: the run's configuration.
        out: the run folder.
        cache: folder of caches that runs share.
        resume: go on with the run in `out`, if there is one.

    Returns:
        The run folder, with the encoders in it.

    Raises:
        FileExistsError: `out` holds a run and `resume` is not given.
        FloatingPointError: a loss term or a weight is infinite or NaN; the last good state is kept.
        ValueError: the data or the configuration does not fit.
    """
    run = RunFolder(Path(out))
    run.begin(config, resume)
    if run.read_json("run") is not None:
        _LOG.info("The run in %s has ended already", run.path)
        return run
    config.check_effects()
    started = time.monotonic()
    material = prepare(config, run, cache)
    prepared = time.monotonic()
    model, material, state = _train(config, run, material, cache)
    trained = time.monotonic()
    seconds = {"prepare": prepared - started, "train": trained - prepared}
    _finish(run, model, material, state, seconds)
    return run


def _train(
    config: Config, run: RunFolder, material: Material, cache: str | Path
) -> tuple[keras.Model, Material, State]:
    """The model with the weights of the best epoch, what it reads, and how the run went."""
    training = config.training
    rows = material.pairs.indices("train")
    labels = material.labels(rows)
    anchors, counts = semantic_anchors(labels, training.max_anchors, training.seed)
    keras.utils.set_random_seed(training.seed)
    model = build_model(config, material.bodies, anchors, counts)
    batch_size = choose_batch_size(training.batch_size, len(rows))
    steps = steps_per_epoch(len(rows), batch_size)
    total = training.separate_epochs + training.joint_epochs
    optimizers = build_optimizers(config, steps * total, _LABEL_STEPS * training.label_epochs)
    model.compile(optimizers, stage="label", precision=training.precision)
    state = load_state(model, run)
    if state is None:
        _adapt_to_inputs(config, model, material, rows)
        _train_label_net(config, model, anchors)
        state = State()
        save_state(model, run, state)
    else:
        _LOG.info("Going on after epoch %d", state.epoch)
    validation = _validation(config, model, material)
    log = TensorBoardLog(run, state.history)
    ends = {"separate": training.separate_epochs, "joint": total}
    if config.finetuned():
        ends["finetune"] = ends["joint"] + training.finetune_epochs
    if training.refine_epochs:
        ends["refine"] = max(ends.values()) + training.refine_epochs
    before, since, patience, stages = (model, material), 0, training.early_stopping, list(ends)
    for stage, end in ends.items():
        if stage in ("finetune", "refine"):
            # Fewer than planned where the stages before were stopped early.
            since = sum(stages.index(line["stage"]) < stages.index(stage) for line in state.history)
            end = since + getattr(training, f"{stage}_epochs")
        if stage == "finetune":
            model, material, optimizers = start_finetuning(
                config, run, model, material, state, cache, steps
            )
            validation = _validation(config, model, material)
        elif stage == "refine":
            if not state.is_finetuned(state.best_before(stage)):
                model, material = before
                validation = _validation(config, model, material)
            optimizers = start_refining(config, run, model, state, steps)
        # Before the check, so that a run that is over is saved with the stage it ended in.
        model.compile(optimizers, stage=stage, precision=training.precision)
        reached = state.stage(state.epoch) or stage
        over = state.epoch >= end or state.is_exhausted(patience, since)
        if over or stages.index(reached) > stages.index(stage):
            continue
        image, text = material.image.take(rows), material.text.take(rows)
        passes, mixup = 1, 0.0
        if stage == "refine":
            image, text = (
                head_inputs(model.image_hasher, image),
                head_inputs(model.text_hasher, text),
            )
            passes, mixup = PASSES, training.refine_mixup
        model.fit(
            pair_batches(
                image,
                text,
                labels,
                batch_size=batch_size,
                seed=training.seed,
                first_epoch=state.epoch * passes,
                mixup=mixup,
            ),
            steps_per_epoch=steps * passes,
            initial_epoch=state.epoch,
            epochs=end,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[
                AfterEpoch(run, state, validation, stage, max(ends.values()), patience, since),
                log,
            ],
        )
    if not state.is_finetuned(state.best_epoch):
        model, material = before
    model.load_weights(run.checkpoint(state.best_epoch))
    return model, material, state


def _validation(config: Config, model, material: Material) -> Validation | None:
    """What scores an epoch; None where no item is held back for it."""
    if not len(material.pairs.indices("validation")):
        return None
    return Validation(model, material, config.training)


def _adapt_to_inputs(config: Config, model, material: Material, rows: np.ndarray) -> None:
    """Standardise cached outputs of frozen bodies by a sample of the training items.

    Outputs of a trainable body change in training, so those stay as they are.
    """
    some = np.random.default_rng(config.training.seed).permutation(rows)[:_ADAPTED_ITEMS]
    for body, hasher, inputs in (
        (material.bodies.image, model.image_hasher, material.image),
        (material.bodies.text, model.text_hasher, material.text),
    ):
        if not body.trainable:
            hasher.get_layer("pooled_standard").adapt(inputs.batch(some)["pooled"])


def _train_label_net(config: Config, model: keras.Model, anchors: np.ndarray) -> None:
    training = config.training
    batches = anchor_batches(
        anchors,
        batch_size=_LABEL_BATCH,
        seed=training.seed,
        first_epoch=0,
        steps=_LABEL_STEPS,
    )
    logs = model.fit(
        batches,
        steps_per_epoch=_LABEL_STEPS,
        epochs=training.label_epochs,
        shuffle=False,
        verbose=0,
        callbacks=[StopNotFinite("in the label net's stage")],
    ).history
    _LOG.info("Label net: %d label sets, loss %.4f", len(anchors), logs["loss"][-1])


def _finish(run: RunFolder, model, material: Material, state: State, seconds: dict) -> None:
    parts = {
        "model": model,
        "image_encoder": material.bodies.whole_image_hasher(model.image_hasher),
        "text_encoder": material.bodies.whole_text_hasher(model.text_hasher),
    }
    for name, part in parts.items():
        with writing(run.model(name)) as temporary:
            part.save(temporary)
    (best,) = (line for line in state.history if line["epoch"] == state.best_epoch)
    with_map = material.pairs.label_names and best["score"] is not None
    run.write_json(
        "run",
        {
            "best_epoch": state.best_epoch,
            "stage": best["stage"],
            "finetuned": state.is_finetuned(state.best_epoch),
            "validation_score": best["score"],
            "validation_map": (best["image_to_text"] + best["text_to_image"]) / 2
            if with_map
            else None,
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
            "sha256": {name: sha256(run.model(name)) for name in parts},
        },
    )
