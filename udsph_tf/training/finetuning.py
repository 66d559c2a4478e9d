"""Fine-tuning: after their hashers, frozen bodies go on learning, together with both hashers.

Its model and its inputs are others than those of the stages before: a hasher that read cached
outputs of its whole body now reads pixels, cached maps of the body's lower part, or token ids.
"""

import logging
import math
from dataclasses import replace
from pathlib import Path

import keras

from udsph_tf.config import Config, override
from udsph_tf.networks.cut import cut, freeze_statistics
from udsph_tf.networks.encoder import attach_body
from udsph_tf.training.bodies import build_image_body, build_text_body
from udsph_tf.training.build import build_optimizers
from udsph_tf.training.material import Material
from udsph_tf.training.preparation import prepare_images, prepare_texts
from udsph_tf.training.run_folder import RunFolder, text_tokenizer
from udsph_tf.training.state import State
from udsph_tf.training.text_files import read_word_tables
from udsph_tf.training.udsph import UDSPH

__all__ = ["prepare_finetuning", "start_finetuning"]

_LOG = logging.getLogger(__name__)


def prepare_finetuning(
    config: Config, run: RunFolder, material: Material, cache: str | Path
) -> tuple[Material, dict[str, keras.Model]]:
    """What the hashers read in this stage, and what goes on learning below them.

    The bodies of `material` stay as they are; those that learn are copies of them.

    Args:
        config: the run's configuration.
        run: its folder, for the vocabulary.
        material: that of the stages before.
        cache: folder of caches that runs share.

    Returns:
        The material. Its image body is the frozen lower part of the body, whose maps are the
        inputs; or, where the whole body learns, that body, with pixels for inputs. And by
        modality the part that learns, from those inputs to the outputs of the whole body.

    Raises:
        ValueError: a picture that was readable before is so no longer.
    """
    keras.utils.set_random_seed(config.training.seed)
    bodies, learning = material.bodies, {}
    if "image" in config.finetuned():
        body = _learning_copy(build_image_body(config), bodies.image)
        frozen, learning["image"] = _divide(body, config.training.finetune_from)
        bodies = replace(bodies, image=body if frozen is None else frozen)
        image, unreadable = prepare_images(material.pairs, config.image.size, frozen, cache)
        if unreadable:
            first = unreadable[0]
            raise ValueError(f"{first.source} cannot be read any more: {first.reason}")
        material = replace(material, image=image)
    if "text" in config.finetuned():
        tokenizer = text_tokenizer(config, run.vocabulary)
        tables = read_word_tables(run)
        body = build_text_body(config, len(tokenizer.vocabulary), word_tables=tables)
        learning["text"] = _learning_copy(body, bodies.text)
        bodies = replace(bodies, text=body)
        text = prepare_texts(tokenizer.encode(material.pairs.texts), None, cache)
        material = replace(material, text=text)
    return replace(material, bodies=bodies), learning


def start_finetuning(
    config: Config,
    run: RunFolder,
    model: UDSPH,
    material: Material,
    state: State,
    cache: str | Path,
    steps: int,
) -> tuple[UDSPH, Material, dict]:
    """The stage's model, what it reads, and its optimizers, at the state that the run has reached.

    The stage begins with the best epoch of those before.

    Args:
        config: the run's configuration.
        run: its folder.
        model: that of the stages before, every network of which the new one shares.
        material: what that model reads.
        state: how far the run has come.
        cache: folder of caches that runs share.
        steps: of an epoch.

    Raises:
        ValueError: a picture that was readable before is so no longer.
    """
    resumed = state.stage(state.epoch) == "finetune"
    if state.stage(state.epoch) not in ("finetune", "refine"):
        model.load_weights(run.checkpoint(state.best_epoch))
    material, learning = prepare_finetuning(config, run, material, cache)
    for modality, part in learning.items():
        number = sum(math.prod(variable.shape) for variable in part.trainable_variables)
        _LOG.info("Fine-tuning %s weights of the %s body", f"{number:,}", modality)
    tuned = _with_bodies(model, learning)
    rate = config.training.finetune_learning_rate
    optimizers = build_optimizers(
        override(config, {"training": {"learning_rate": rate}}),
        hasher_steps=steps * config.training.finetune_epochs,
        label_steps=1,
    )
    tuned.compile(optimizers, stage="finetune")
    if resumed:
        tuned.load_weights(run.checkpoint(state.epoch))
    return tuned, material, optimizers


def _with_bodies(model: UDSPH, learning: dict[str, keras.Model]) -> UDSPH:
    hashers = {"image": model.image_hasher, "text": model.text_hasher}
    for modality, part in learning.items():
        hashers[modality] = attach_body(part, hashers[modality], f"{modality}_encoder")
    tuned = UDSPH(
        hashers["image"],
        hashers["text"],
        model.label_net,
        model.anchors,
        model.anchor_counts,
        loss=model.loss_config,
        attention=model.attention,
        image_discriminator=model.image_discriminator,
        text_discriminator=model.text_discriminator,
        name=model.name,
    )
    # An adversary that has decayed stays so.
    tuned.joint_steps.assign(model.joint_steps)
    return tuned


def _learning_copy(copy: keras.Model, body: keras.Model) -> keras.Model:
    copy.set_weights(body.get_weights())
    copy.trainable = True
    freeze_statistics(copy)
    return copy


def _divide(body: keras.Model, block: str) -> tuple[keras.Model | None, keras.Model]:
    if not block:
        return None, body
    lower, upper = cut(body, block)
    lower.trainable = False
    return lower, upper
