"""The folder of one export: what it says of itself in `manifest.json`, and is it whole?"""

import hashlib
import json
from pathlib import Path

from udsph_tf.files import sha256, write_bytes

__all__ = ["MANIFEST", "ExportError", "changed_files", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
_FORMAT = 1
_OWN = "manifest_sha256"


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
    manifest = {"format": _FORMAT, "model_checksum": checksum, **content, "files": files}
    manifest[_OWN] = hashlib.sha256(_as_text(manifest)).hexdigest()
    write_bytes(folder / MANIFEST, _as_text(manifest))


def changed_files(folder: str | Path) -> list[str]:
    """Compare every byte of an export folder with what was written.

    This finds damage. Somebody who changes a file on purpose can write a new manifest as well.

    Returns:
        A line for each file that has been changed, is missing, or was not exported; none where all
        is well.

    Raises:
        FileNotFoundError: there is no export in `folder`.
        ValueError: the manifest is damaged or of another version.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    text = (folder / MANIFEST).read_bytes()
    own = manifest.pop(_OWN, None)
    whole = {**manifest, _OWN: hashlib.sha256(_as_text(manifest)).hexdigest()}
    # The text too: a changed blank would not change what is in it.
    if own != whole[_OWN] or text != _as_text(whole):
        return [f"{folder / MANIFEST} has been changed. Copy the folder again, or export again"]
    wrong, told = [], manifest["files"]
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and path != folder / MANIFEST
    }
    for name in sorted(found | set(told)):
        if name not in found:
            wrong.append(f"{folder / name} is missing")
        elif name not in told:
            wrong.append(f"{folder / name} is no part of the export")
        elif sha256(folder / name) != told[name]:
            wrong.append(f"{folder / name} has been changed: its checksum is wrong")
    return wrong


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


def _as_text(manifest: dict) -> bytes:
    return (json.dumps(manifest, indent=1) + "\n").encode()
