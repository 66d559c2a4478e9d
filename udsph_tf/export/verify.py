"""Check somebody's export folder: is it whole, does it keep its promises, are its bits right?"""

from pathlib import Path

from udsph_tf.artefacts import changed_files, read_manifest
from udsph_tf.export.contract import foreign_operations, signatures
from udsph_tf.export.golden import GOLDEN, check_golden, num_golden

__all__ = ["CHECKS", "verify"]

CHECKS = ("files", "signatures", "operations", "golden")


def verify(folder: str | Path) -> dict[str, list[str]]:
    """Check an export folder. A folder whose files have changed is not run.

    Args:
        folder: what `export` has written.

    Returns:
        By check (`files`: checksums; `signatures`; `operations`; `golden`: bits), what is wrong,
        a line each. A check that was not made is missing: all others where files have changed, and
        `golden` where no items were stored.

    Raises:
        FileNotFoundError: there is no export in `folder`.
        ValueError: its manifest is damaged, or of another version.
        ExportError: a SavedModel does not run.
    """
    folder = Path(folder)
    wrong = {"files": changed_files(folder)}
    if wrong["files"]:
        return wrong
    manifest = read_manifest(folder)
    if "signatures" not in manifest or not (folder / GOLDEN).is_file():
        raise ValueError(
            f"{folder} was written by an older version, without golden items. Export again"
        )
    found, told = signatures(folder), manifest["signatures"]
    wrong["signatures"] = [
        f"{name}: the signatures are not those of the manifest"
        for name in sorted(found.keys() | told.keys())
        if found.get(name) != told.get(name)
    ]
    wrong["operations"] = foreign_operations(folder)
    if num_golden(folder):
        wrong["golden"] = check_golden(folder)
    return wrong
