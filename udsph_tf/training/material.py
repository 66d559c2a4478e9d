"""Everything a run reads, ready to train or to evaluate: pairs with roles, inputs, anchors."""

from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.data.catalogue import CATALOGUE, read_pairs
from udsph_tf.data.pairs import Pairs, holds_vectors
from udsph_tf.data.splits import Split, apply_split, make_split, read_split, write_split
from udsph_tf.data.unseen_kinds import (
    KIND_GROUP,
    MIN_KIND_ITEMS,
    hold_out_kinds,
    train_without_kinds,
)
from udsph_tf.training.bodies import build_image_body, build_text_body
from udsph_tf.training.build import Bodies
from udsph_tf.training.preparation import (
    Inputs,
    drop_problems,
    prepare_images,
    prepare_texts,
    prepare_vectors,
)
from udsph_tf.training.run_folder import RunFolder, text_tokenizer
from udsph_tf.training.text_files import check_text_sources, read_word_tables, write_text_files

__all__ = ["Material", "prepare", "run_pairs"]


@dataclass(frozen=True)
class Material:
    """Pairs with roles, and what each hasher reads of them."""

    pairs: Pairs
    image: Inputs
    text: Inputs
    bodies: Bodies


def prepare(config: Config, run: RunFolder, cache: str | Path) -> Material:
    """Read, check, split, tokenize; what the run folder has already is used and checked.

    Args:
        config: the run's configuration.
        run: its folder; the split, the vocabulary and the list of problems are written there.
        cache: folder of caches that runs share.

    Raises:
        ValueError: the data, or the split in the run folder, does not fit.
    """
    check_text_sources(config)
    known = [problem["id"] for problem in run.read_json("problems") or ()]
    pairs, problems = read_pairs(config.data)
    _check_bodies(config, pairs)
    usable = drop_problems(pairs, problems, config.data.bad_items, known)
    pairs = pairs.take(usable)
    keras.utils.set_random_seed(config.training.seed)
    if config.image.body == "vector":
        image, unreadable = prepare_vectors(pairs.images), []
    else:
        image_body = build_image_body(config)
        image, unreadable = prepare_images(
            pairs, config.image.size, None if config.image.trainable else image_body, cache
        )
    readable = drop_problems(pairs, unreadable, config.data.bad_items, known)
    kept = CATALOGUE[config.data.dataset].finish(pairs.take(readable))
    position = {item: index for index, item in enumerate(pairs.ids)}
    image = image.take(np.array([position[item] for item in kept.ids]))
    run.write_json("problems", [asdict(each) for each in problems + unreadable])
    if run.split.is_file():
        split = read_split(run.split)
    else:
        split = make_split(
            kept,
            num_query=config.data.num_query,
            num_validation=config.data.num_validation,
            num_train=config.data.num_train,
            seed=config.data.seed,
        )
        if config.data.unseen_kinds:
            split = _hold_out(config, run, kept, split)
        write_split(run.split, split)
    pairs = apply_split(kept, split)
    run.write_json("labels", list(pairs.label_names))
    if config.image.body == "vector":
        image_body = build_image_body(config, pairs.images[pairs.indices("train")])
    text, text_body = _prepare_texts(config, run, pairs, cache)
    return Material(pairs, image, text, Bodies(image_body, text_body))


def run_pairs(run: RunFolder) -> Pairs:
    """The pairs of a run with their roles, without opening a picture.

    Raises:
        ValueError: the data is no longer what the run was made of.
    """
    config = run.config()
    pairs, _ = read_pairs(config.data)
    unusable = {problem["id"] for problem in run.read_json("problems")}
    usable = pairs.take(np.array([item not in unusable for item in pairs.ids]))
    return apply_split(CATALOGUE[config.data.dataset].finish(usable), read_split(run.split))


def _prepare_texts(
    config: Config, run: RunFolder, pairs: Pairs, cache: str | Path
) -> tuple[Inputs, keras.Model]:
    if config.text.body == "vector":
        body = build_text_body(config, 0, pairs.texts[pairs.indices("train")])
        return prepare_vectors(pairs.texts), body
    if not run.vocabulary.is_file():
        write_text_files(config, run, list(pairs.texts[pairs.indices("train")]))
    tokenizer = text_tokenizer(config, run.vocabulary)
    tables = read_word_tables(run)
    body = build_text_body(config, len(tokenizer.vocabulary), word_tables=tables)
    frozen = None if config.text.trainable else body
    return prepare_texts(tokenizer.encode(pairs.texts), frozen, cache), body


def _check_bodies(config: Config, pairs: Pairs) -> None:
    """Vectors need the body `vector`, pictures and words another one."""
    columns = {"image": pairs.images, "text": pairs.texts}
    for section, column in columns.items():
        vectors, body = holds_vectors(column), getattr(config, section).body
        if vectors and body != "vector":
            raise ValueError(
                f"`{pairs.name}` holds feature vectors: `{section}.body` must be `vector`. "
                f"Received: {section}.body={body!r}"
            )
        if not vectors and body == "vector":
            what = "pictures" if section == "image" else "words"
            raise ValueError(
                f"`{pairs.name}` holds {what}: `{section}.body` must not be `vector`, which reads "
                "feature vectors"
            )


def _hold_out(config: Config, run: RunFolder, pairs: Pairs, split: Split) -> Split:
    number, seed = config.data.unseen_kinds, config.data.seed
    names = hold_out_kinds(pairs, KIND_GROUP, number, MIN_KIND_ITEMS, seed)
    run.write_json("unseen", names)
    return train_without_kinds(pairs, split, names)
