"""Everything a run reads, ready to train or to evaluate: pairs with roles, inputs, anchors."""

from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.data.captions import one_row_a_caption
from udsph_tf.data.catalogue import CATALOGUE, read_pairs
from udsph_tf.data.pairs import Pairs, Problem, holds_vectors
from udsph_tf.data.published_split import published_roles, with_roles
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
    forget_images,
    prepare_images,
    prepare_texts,
    prepare_vectors,
)
from udsph_tf.training.run_folder import RunFolder, text_tokenizer
from udsph_tf.training.text_files import check_text_sources, read_word_tables, write_text_files

__all__ = ["Material", "prepare", "run_pairs"]

_LABEL_TERMS = (
    "feature_similarity",
    "code_similarity",
    "cross_similarity",
    "classification",
    "adversarial",
    "local",
)


@dataclass(frozen=True)
class Material:
    """Pairs with roles, and what each hasher reads of them.

    Args:
        pairs: n rows; with `data.captions` = each one for every sentence of an item.
        image: what the image hasher reads of them.
        text: what the text hasher reads of them.
        bodies: the two bodies.
        items: (n,) the item of each row; None where each is an item of its own.
    """

    pairs: Pairs
    image: Inputs
    text: Inputs
    bodies: Bodies
    items: np.ndarray | None = None

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """(len(rows), num_labels) for the label net; a column of zeros where there are none."""
        labels = self.pairs.labels[rows]
        return labels if labels.shape[1] else np.zeros((len(rows), 1), labels.dtype)


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
    _check_labels(config, pairs)
    # Before the long work, and with the rows as the file has them.
    roles = None if run.split.is_file() else _published(config, pairs, problems)
    usable = drop_problems(pairs, problems, config.data.bad_items, known)
    pairs = pairs.take(usable)
    if not run.split.is_file():
        # A split that cannot be made is found before the long work, and made after it.
        _split(config, _with_roles(CATALOGUE[config.data.dataset].finish(pairs), roles))
    keras.utils.set_random_seed(config.training.seed)
    if config.image.body == "vector":
        image, unreadable = prepare_vectors(pairs.images), []
        readable = np.arange(len(pairs))
    else:
        image_body = build_image_body(config)
        source = (pairs, config.image.size, None if config.image.trainable else image_body, cache)
        image, unreadable = prepare_images(*source)
        try:
            readable = drop_problems(pairs, unreadable, config.data.bad_items, known)
        except ValueError:
            # Pictures that are mended have another cache, and this one would only lie there.
            forget_images(*source)
            raise
    kept = CATALOGUE[config.data.dataset].finish(pairs.take(readable))
    if run.split.is_file():
        kept = _listed(config, kept, read_split(run.split))
    else:
        kept = _with_roles(kept, roles)
    position = {item: index for index, item in enumerate(pairs.ids)}
    image = image.take(np.array([position[item] for item in kept.ids]))
    run.write_json("problems", [asdict(each) for each in problems + unreadable])
    if run.split.is_file():
        split = read_split(run.split)
    else:
        split = _split(config, kept)
        if config.data.unseen_kinds:
            split = _hold_out(config, run, kept, split)
        write_split(run.split, split)
    pairs, items = apply_split(kept, split), None
    if config.data.captions == "each":
        pairs, items = one_row_a_caption(pairs)
        image = image.take(items)
    run.write_json("labels", list(pairs.label_names))
    if config.image.body == "vector":
        image_body = build_image_body(config, pairs.images[pairs.indices("train")])
    text, text_body = _prepare_texts(config, run, pairs, cache)
    return Material(pairs, image, text, Bodies(image_body, text_body), items)


def run_pairs(run: RunFolder) -> Pairs:
    """The pairs of a run with their roles, without opening a picture.

    Raises:
        ValueError: the data is no longer what the run was made of.
    """
    config = run.config()
    pairs, _ = read_pairs(config.data)
    unusable = {problem["id"] for problem in run.read_json("problems")}
    usable = pairs.take(np.array([item not in unusable for item in pairs.ids]))
    kept, split = CATALOGUE[config.data.dataset].finish(usable), read_split(run.split)
    return apply_split(_listed(config, kept, split), split)


def _published(config: Config, pairs: Pairs, problems: list[Problem]) -> dict[str, str] | None:
    """Roles by id of the split that the configuration names, if it names one."""
    if not config.data.split:
        return None
    left_out = [each.id for each in problems]
    return published_roles(config.data.split, pairs, config.data.split_numbers, left_out)


def _with_roles(pairs: Pairs, roles: dict[str, str] | None) -> Pairs:
    return with_roles(pairs, roles) if roles else pairs


def _split(config: Config, pairs: Pairs) -> Split:
    data = config.data
    return make_split(
        pairs,
        num_query=data.num_query,
        num_validation=data.num_validation,
        num_train=data.num_train,
        seed=data.seed,
    )


def _listed(config: Config, pairs: Pairs, split: Split) -> Pairs:
    """Without the items that a published split leaves out."""
    if not config.data.split:
        return pairs
    listed = {item for ids in split.roles.values() for item in ids}
    return pairs.take(np.array([item in listed for item in pairs.ids], bool))


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
    if not holds_vectors(pairs.images) and not any(pairs.images):
        raise ValueError(
            f"`{pairs.name}` has texts and labels, but no pictures, so there is nothing to train "
            f"an image hasher on. Its root should hold {CATALOGUE[config.data.dataset].layout}. "
            "`udsph datasets check` counts what is there"
        )
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


def _check_labels(config: Config, pairs: Pairs) -> None:
    """Without labels, only terms that ask for none can be trained."""
    loss = config.loss
    if pairs.label_names:
        return
    asking = [name for name in _LABEL_TERMS if getattr(loss, name)]
    if asking or not loss.instance:
        raise ValueError(
            f"`{pairs.name}` has no labels: only loss.instance can be trained by, so it must "
            "be positive and the terms that ask for labels 0. Give labels, or "
            + " ".join(f"--set loss.{name}=0" for name in asking)
            + (" --set loss.instance=1" if not loss.instance else "")
        )


def _hold_out(config: Config, run: RunFolder, pairs: Pairs, split: Split) -> Split:
    number, seed = config.data.unseen_kinds, config.data.seed
    names = hold_out_kinds(pairs, KIND_GROUP, number, MIN_KIND_ITEMS, seed)
    run.write_json("unseen", names)
    return train_without_kinds(pairs, split, names)
