"""Where a model server listens, and which version of its models is meant."""

import re
from dataclasses import dataclass

__all__ = ["Address"]

_FORM = re.compile(
    r"(?P<scheme>grpcs?|https?)://(?P<host>(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5}))"
    r"(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[\w.-]+))?/?"
)


@dataclass(frozen=True)
class Address:
    """Where a model server listens, and which version of its models is meant.

    Args:
        scheme: "grpc" or "http", with an "s" for TLS.
        host: name and port.
        version: number of a version; by default the server's choice.
        label: label of a version, instead of its number.

    Example:
        >>> Address.parse("grpc://127.0.0.1:8500/labels/stable").label
        'stable'
    """

    scheme: str
    host: str
    version: int | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `grpc://host:8500` or `http://host:8501`, and `/versions/3` or `/labels/stable`.

        Raises:
            ValueError: it is no such address.
        """
        match = _FORM.fullmatch(text)
        if not match or not 0 < int(match["port"]) < 65536:
            raise ValueError(
                "The address of a model server must be grpc://host:port or http://host:port (grpcs "
                "and https: with TLS), and may end in /versions/3 or /labels/stable. "
                f"Received: {text!r}"
            )
        version = match["version"]
        return cls(match["scheme"], match["host"], version and int(version), match["label"])

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"
