"""How a client deals with its model server."""

import dataclasses
from dataclasses import dataclass

__all__ = ["ClientSettings"]


@dataclass(frozen=True)
class ClientSettings:
    """How a client deals with its model server.

    Args:
        timeout: seconds of one request, repetitions included. Over REST from synchronous code it
            bounds every wait for the server, not their sum.
        attempts: how often a request is sent at most, where the server is unavailable.
        first_delay: seconds; the first repetition waits between 0 and this, each further one up to
            twice as long.
        max_delay: seconds that a repetition waits at most.
        max_batch: items of one request; at most the server's own `max_batch_size`.
        max_batch_bytes: bytes of one request, unless a single item has more.
        in_flight: requests under way at once, when a call takes several.
        verify_every: seconds after which an encoder asks again whether the server still has the
            model of its artefacts.

    Raises:
        ValueError: one is not positive.

    Example:
        >>> ClientSettings(timeout=2.0).attempts
        5
    """

    timeout: float = 10.0
    attempts: int = 5
    first_delay: float = 0.1
    max_delay: float = 2.0
    max_batch: int = 64
    max_batch_bytes: int = 16 * 1024 * 1024
    in_flight: int = 4
    verify_every: float = 60.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            whole = field.type is int and not isinstance(value, int)
            if isinstance(value, bool) or whole or not value > 0:
                raise ValueError(f"`{field.name}` must be positive. Received: {value!r}")
