"""Does a query say anything to a text encoder?"""

from pathlib import Path

from udsph_tf.artefacts import read_manifest
from udsph_tf.data.tokenizer import Tokenizer, read_vocabulary

__all__ = ["QueryCheck"]

_VOCABULARY = "vocabulary.txt"


class QueryCheck:
    """Does a query say anything to a text encoder? Every text has a code, a meaningless one too.

    Args:
        artefacts: the encoder's export folder.

    Raises:
        FileNotFoundError: there is no export.
        ValueError: its vocabulary is missing or has been changed.
    """

    def __init__(self, artefacts: str | Path):
        manifest = read_manifest(artefacts, (_VOCABULARY,))
        self._tokenizer = Tokenizer(
            read_vocabulary(Path(artefacts) / _VOCABULARY),
            manifest["text"]["max_tokens"],
            lower_case=manifest["text"].get("lower_case", True),
        )

    def check(self, text: str) -> None:
        """Raise where it does not.

        Raises:
            ValueError: the text is empty, or none of it is in the vocabulary.
        """
        if not text.strip():
            raise ValueError("The query is empty; give at least one word")
        if not self._tokenizer.known([text])[0]:
            raise ValueError(
                f"The model knows no word of the query {text!r}: nothing of it was in the training "
                "texts. Use other words"
            )
