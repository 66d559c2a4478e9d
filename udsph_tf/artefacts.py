"""The folder of one export: what it says of itself in `manifest.json`, and is it whole?"""

import hashlib
import json
from pathlib import Path

from udsph_tf.files import sha256, write_text

__all__ = ["MANIFEST", "ExportError", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
_FORMAT = 1


class ExportError(RuntimeError):
    """A written encoder does not run, or writes other codes than the Keras model."""


def write_manifest(folder: str | Path, content: dict) -> None:
    """Write `manifest.json` with the SHA-256 of every other file of the folder.

    Its `model_checksum` covers the encoders' weights and the vocabulary; an index keeps it, and
    is refused to queries of another model.
    """
    folder = Path(folder)
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    encoders = {name: files[name] for name in ("image.float32.tflite", "text.float32.tflite")}
    checksum = hashlib.sha256(json.dumps(encoders, sort_keys=True).encode()).hexdigest()
    write_text(
        folder / MANIFEST,
        json.dumps(
            {"format": _FORMAT, "model_checksum": checksum, **content, "files": files}, indent=1
        )
        + "\n",
    )


def read_manifest(folder: str | Path, names: tuple[str, ...] = ()) -> dict:
    """Read `manifest.json` and check the files that are about to be used.

    Args:
        folder: an export folder.
        names: files whose checksum is compared.

    Raises:
        FileNotFoundError: there is no export in `folder`.
        ValueError: the manifest is damaged or of another version, or one of the named files is
            missing or changed.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no export; `udsph export --out` makes one")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files = manifest["format"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}. Export again") from error
    if version != _FORMAT:
        raise ValueError(f"{path} has format {version}; this version reads {_FORMAT}. Export again")
    for name in names:
        target = folder / name
        if name not in files:
            raise ValueError(f"{folder} was exported without {name}; use one of its other forms")
        if not target.is_file():
            raise ValueError(f"{target} is missing. Export again")
        if sha256(target) != files[name]:
            raise ValueError(f"{target} has been changed: its checksum is wrong. Export again")
    return manifest
