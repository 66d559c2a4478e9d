"""Any text encoder of KerasHub whose word pieces an export can read."""

from pathlib import Path

import keras

from udsph_tf.networks.text_bodies import contextual_words

__all__ = ["keras_hub_text", "keras_hub_word_pieces"]


def keras_hub_text(
    preset: str, max_tokens: int, *, random_weights: bool = False, name: str = "keras_hub_text"
) -> keras.Model:
    """A text backbone of KerasHub, mean-pooled over the word pieces that are there.

    Args:
        preset: a preset's name, or a local folder of one in KerasHub's or Hugging Face's layout.
        max_tokens: ids of a text, with the pieces that stand around it.
        random_weights: leave the weights out, and load the architecture alone.
        name: the model's name.

    Returns:
        A model from `token_ids` (n, max_tokens) int32 to a dict as `wordpiece` gives.

    Raises:
        FileNotFoundError: `preset` looks like a folder, and there is none.
        ValueError: it is not a text encoder, or reads fewer tokens.
    """
    import keras_hub

    _check_folder(preset)
    backbone = keras_hub.models.Backbone.from_preset(preset, load_weights=not random_weights)
    longest = getattr(backbone, "max_sequence_length", None)
    if longest and max_tokens > longest:
        raise ValueError(
            f"{preset} reads at most {longest} tokens: set text.max_tokens={longest}. "
            f"Received: text.max_tokens={max_tokens}"
        )
    return contextual_words(backbone, max_tokens, name)


def keras_hub_word_pieces(preset: str) -> tuple[list[str], dict]:
    """The vocabulary of a preset, and what `udsph_tf.data.tokenizer.Tokenizer` needs besides.

    Args:
        preset: as for `keras_hub_text`.

    Returns:
        The pieces, and `first`, `last` and `lower_case`.

    Raises:
        FileNotFoundError: as for `keras_hub_text`.
        ValueError: its tokenizer is of a kind that an exported encoder cannot run.
    """
    import keras_hub

    _check_folder(preset)
    tokenizer = keras_hub.models.Tokenizer.from_preset(preset)
    if not isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        raise ValueError(
            f"The tokenizer of {preset}, {type(tokenizer).__name__}, does not read word pieces. An "
            "exported encoder has its tokenizer inside, made of what TensorFlow Serving and LiteRT "
            "can run, and that is word pieces: choose a preset of BERT, DistilBERT, ELECTRA or "
            "another network with a WordPiece vocabulary"
        )
    pieces = tokenizer.get_vocabulary()
    first, last = (getattr(tokenizer, name, None) for name in ("cls_token", "sep_token"))
    if tokenizer.pad_token_id != 0:
        raise ValueError(
            f"The padding of {preset} must be its first piece. "
            f"Received: id {tokenizer.pad_token_id}"
        )
    return list(pieces), {"first": first, "last": last, "lower_case": bool(tokenizer.lowercase)}


def _check_folder(preset: str) -> None:
    if preset.startswith(("/", ".", "~")) and not Path(preset).expanduser().is_dir():
        raise FileNotFoundError(f"There is no preset folder {preset}")
