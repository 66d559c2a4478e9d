"""`index.json`: what an index folder says of itself."""

import hashlib
import json
from pathlib import Path
from typing import Any

from udsph_tf.files import sha256, write_text

__all__ = ["FORMAT_VERSION", "MANIFEST", "REMEDY", "check_file", "read_manifest", "write_manifest"]

FORMAT_VERSION = 2
MANIFEST = "index.json"
REMEDY = "Copy the whole folder again, or run `udsph index` again."


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest of a folder at once, with a checksum of its own."""
    manifest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    manifest["manifest_sha256"] = _checksum(manifest)
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an index folder.

    Raises:
        ValueError: there is none, it is not whole, or it has another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(f"no index at {folder}: {path} is missing. Run `udsph index` first.")
    try:
        manifest = json.loads(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole: {error}. {REMEDY}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version={version!r}, and this version of udsph_tf reads "
            f"{FORMAT_VERSION}. Use the version that wrote it, or run `udsph index` again."
        )
    if manifest.get("manifest_sha256") != _checksum(manifest):
        raise ValueError(f"{path} is not the file that was written. {REMEDY}")
    return manifest


def check_file(path: Path, expected: str, *, content: bool = True) -> None:
    """Check that a file of an index is there and, by its SHA-256, the one that was written.

    Args:
        path: the file.
        expected: its SHA-256.
        content: compare it, which reads the whole file.

    Raises:
        ValueError: it is missing or another one.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing. {REMEDY}")
    if content and sha256(path) != expected:
        raise ValueError(
            f"{path} is not the file that was written: its sha256 differs from the one in "
            f"{MANIFEST}. {REMEDY}"
        )


def _checksum(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
