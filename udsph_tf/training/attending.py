"""What a run's cross-modal attention looks at: the region weights of each word of some pairs."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from udsph_tf.config import Config, nearest
from udsph_tf.data.images import ImageError, load_pixels, read_image
from udsph_tf.data.pairs import Pairs
from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.evaluation import AttendedPair
from udsph_tf.training.material import run_pairs
from udsph_tf.training.run_folder import RunFolder, text_tokenizer
from udsph_tf.training.state import State

__all__ = ["attend", "items_of_run"]

# Pixels a side of the picture that is drawn.
_SHOWN = 256
# A strip of a picture is drawn no narrower than this, height to width or width to height.
_MAX_ASPECT = 3.0


def items_of_run(run: RunFolder, ids: Sequence[str]) -> Pairs:
    """The items of a run's data with these ids, in their order.

    Raises:
        FileNotFoundError: the run has not ended.
        ValueError: an id is unknown, or the data is no longer what the run was made of.
    """
    run.require_finished()
    pairs = run_pairs(run)
    position = {item: index for index, item in enumerate(pairs.ids)}
    for item in ids:
        if item not in position:
            raise ValueError(f"The run has no item `{item}`.{nearest(item, pairs.ids)}")
    return pairs.take([position[item] for item in ids])


def attend(
    run: RunFolder, images: Sequence[str], texts: Sequence[str], titles: Sequence[str] | None = None
) -> list[AttendedPair]:
    """What each word of n aligned pairs looks at, by the attention of a finished run.

    The pieces of a word are averaged: weights, which stay shares of 1, and agreement. Pieces that
    are no words (`[CLS]` and `[SEP]` of MiniLM) are left out.

    Args:
        run: a finished run whose local term was trained.
        images: n image sources (see `udsph_tf.data.images`).
        texts: n texts.
        titles: names of the pairs; their texts where left out.

    Returns:
        n pairs; `weights` are over the cells of the image body's feature map.

    Raises:
        FileNotFoundError: the run has not ended.
        ValueError: there is no pair, its attention was never trained, a picture cannot be used,
            or a text is empty or has no word that the model knows.
    """
    if not len(images) or len(images) != len(texts):
        raise ValueError(
            "`images` and `texts` must be of equally many pairs, at least one. "
            f"Received: {len(images)} images and {len(texts)} texts"
        )
    finished = run.require_finished()
    config = run.config()
    _check_trained(config, State(history=run.read_history()), finished["best_epoch"])
    tokenizer = text_tokenizer(config, run.vocabulary)
    for text in texts:
        _check_text(tokenizer, text)
    pixels, shown = zip(*(_picture(source, config.image.size) for source in images), strict=True)

    image_encoder, text_encoder = run.load("image_encoder"), run.load("text_encoder")
    seen = image_encoder(np.stack(pixels), training=False)
    read = text_encoder(tokenizer.encode(texts), training=False)
    maps = run.load().attention.maps(seen["regions"], read["words"], read["word_mask"])
    weights, agreement = (np.asarray(each) for each in maps)
    rows, columns = image_encoder.get_layer("image_hasher").input["feature_map"].shape[1:3]
    weights = weights.reshape(len(images), rows, columns, -1)

    pairs = []
    for index, text in enumerate(texts):
        words = tokenizer.whole_words(text)
        pairs.append(
            AttendedPair(
                title=text if titles is None else titles[index],
                picture=shown[index],
                words=[word for word, _ in words],
                weights=np.stack([weights[index][..., at].mean(axis=-1) for _, at in words]),
                agreement=np.array([agreement[index][at].mean() for _, at in words]),
            )
        )
    return pairs


def _check_trained(config: Config, state: State, best_epoch: int) -> None:
    if not config.loss.local:
        raise ValueError(
            "The attention of this run was never trained: its `loss.local` is 0. Train one with a "
            "positive weight, such as --set loss.local=0.2"
        )
    # Heads that were refined last stand on networks of an epoch before.
    if state.network_stage(best_epoch) not in ("joint", "finetune"):
        raise ValueError(
            "The attention of this run was never trained, or its history is missing: the networks "
            f"of its best epoch, {best_epoch}, are of the stage `separate` (epochs 1 to "
            f"{config.training.separate_epochs}). Train one with more `training.joint_epochs`"
        )


def _check_text(tokenizer: Tokenizer, text: str) -> None:
    if not text.strip():
        raise ValueError("The text is empty; give at least one word")
    if not tokenizer.known([text])[0]:
        raise ValueError(
            f"The model knows no word of the text {text!r}: nothing of it was in the training "
            "texts. Use other words"
        )


def _picture(source: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture as the model sees it, (size, size, 3), and as people do, in its own proportions."""
    try:
        data = read_image(source)
        pixels, square = load_pixels(data, size), load_pixels(data, _SHOWN)
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error
    # Only the header is read. Like the model, it does not turn a picture by its EXIF orientation.
    with Image.open(io.BytesIO(data)) as header:
        aspect = np.clip(header.width / header.height, 1 / _MAX_ASPECT, _MAX_ASPECT)
    width, height = (round(_SHOWN * min(1, each)) for each in (aspect, 1 / aspect))
    return pixels, np.asarray(Image.fromarray(square).resize((width, height)))
