"""A few real inputs with their expected codes, so that a folder can be checked anywhere."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from udsph_tf.codes import binarize, pack
from udsph_tf.export.items import Items
from udsph_tf.export.verification import EXACT_FORMS, NEAR_ZERO, codes_of_forms
from udsph_tf.files import write_bytes, write_text

__all__ = ["GOLDEN", "check_golden", "num_golden", "write_golden"]

GOLDEN = "golden/golden.json"
_MOST_CHANGED = 0.02
"""Share of bits of a quantized form that another processor may round to the other side."""


def write_golden(
    folder: str | Path,
    items: dict[str, Items],
    logits: dict[str, np.ndarray],
    codes: dict[str, dict[str, np.ndarray]],
) -> None:
    """Write `golden/`: pictures as they came and as a model sees them, and `golden.json`.

    Args:
        folder: the export folder.
        items: by modality, the items to store.
        logits: by modality, (m, num_bits) of the Keras model; the items to store come first.
        codes: by modality and form, (m, num_bits / 8) packed.
    """
    (Path(folder) / GOLDEN).parent.mkdir()
    content: dict[str, list] = {"image": [], "text": []}
    pictures, texts = items["image"], items["text"].encoded
    for row, text in enumerate(texts):
        names = {"file": f"golden/image-{row}", "pixels": f"golden/image-{row}.pixels.png"}
        write_bytes(Path(folder, names["file"]), pictures.encoded[row])
        drawn = io.BytesIO()
        Image.fromarray(pictures.rows[row]).save(drawn, "PNG")
        write_bytes(Path(folder, names["pixels"]), drawn.getvalue())
        for modality, item in (("image", names), ("text", {"text": text.decode()})):
            content[modality].append(
                {
                    **item,
                    "logits": [float(f"{each:.7g}") for each in logits[modality][row]],
                    "packed": {
                        form: every[row].tobytes().hex()
                        for form, every in sorted(codes[modality].items())
                    },
                }
            )
    write_text(Path(folder, GOLDEN), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def num_golden(folder: str | Path) -> int:
    """Number of golden items in an export."""
    return len(json.loads((Path(folder) / GOLDEN).read_text(encoding="utf-8"))["image"])


def check_golden(folder: str | Path) -> list[str]:
    """Run every form of both encoders on the golden items.

    A float32 form must write the Keras model's bits, but for those whose |logit| is below 1e-4.
    Any other form must write the codes that it wrote when it was exported; another processor may
    round two bits in a hundred to the other side.

    Returns:
        A line for each form that does not; none where all is well.

    Raises:
        ExportError: a SavedModel does not run.
    """
    folder = Path(folder)
    golden = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))
    images = [(folder / each["file"]).read_bytes() for each in golden["image"]]
    pixels = np.stack([_read(folder / each["pixels"]) for each in golden["image"]])
    texts = [each["text"].encode() for each in golden["text"]]
    items = {"image": Items(images, pixels), "text": Items(texts, np.array(texts, dtype=object))}
    wrong, codes = [], codes_of_forms(folder, items)
    for modality in items:
        logits = np.array([each["logits"] for each in golden[modality]])
        expected = [each["packed"] for each in golden[modality]]
        for form, packed in codes[modality].items():
            if form in EXACT_FORMS:
                different = _bits(packed) != _bits(pack(binarize(logits)))
                number = int((different & (np.abs(logits) >= NEAR_ZERO)).sum())
                allowed = 0
            else:
                told = np.array([list(bytes.fromhex(each[form])) for each in expected], np.uint8)
                different = _bits(packed) != _bits(told)
                number, allowed = int(different.sum()), _MOST_CHANGED * different.size
            if number > allowed:
                wrong.append(
                    f"{modality} {form}: {number} of {different.size} bits of the golden items "
                    "are not those expected"
                )
    return wrong


def _bits(packed: np.ndarray) -> np.ndarray:
    """(n, num_bits) booleans of packed codes."""
    return np.unpackbits(packed, axis=1).astype(bool)


def _read(path: Path) -> np.ndarray:
    with Image.open(path, formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"))
