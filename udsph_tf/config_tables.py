"""Tables of settings, `{section: {key: value}}`, before they become a configuration."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["assignment_tables", "merge_tables"]


def assignment_tables(assignments: Iterable[str]) -> Iterator[dict[str, dict[str, str]]]:
    """`{section: {key: value}}` of each `section.key=value`; its key is not checked yet.

    Raises:
        ValueError: one has another form.

    Example:
        >>> [*assignment_tables(["loss.local=0.2"])]
        [{'loss': {'local': '0.2'}}]
    """
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        section, dot, name = key.partition(".")
        if not equals or not dot:
            raise ValueError(
                f"--set takes section.key=value, such as loss.local=0.2. Received: {assignment!r}"
            )
        yield {section: {name: value}}


def merge_tables(*layers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`{section: {key: value}}`, each layer over those before it, key by key.

    Example:
        >>> merge_tables({"loss": {"local": 0.1, "instance": 0.6}}, {"loss": {"local": 0.2}})
        {'loss': {'local': 0.2, 'instance': 0.6}}
    """
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, table in layer.items():
            merged[section] = {**merged.get(section, {}), **table}
    return merged
