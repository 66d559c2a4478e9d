"""What both protocols have in common: a request for codes, its answer, the state of a model."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["Prediction", "PredictionCall", "Transport", "VersionStatus"]


@dataclass(frozen=True)
class PredictionCall:
    """A request for the outputs of a signature.

    Args:
        model: the model's name.
        signature: the signature's name.
        input_name: its one input, of strings.
        items: what is given to it.
        version: number of a version, or None.
        label: label of a version, or None.
    """

    model: str
    signature: str
    input_name: str
    items: tuple[bytes, ...]
    version: int | None
    label: str | None


@dataclass(frozen=True)
class Prediction:
    """The answer to a `PredictionCall`.

    Args:
        outputs: by name, (n, ...).
        version: of the model that gave it; None over REST, which does not tell.
    """

    outputs: dict[str, np.ndarray]
    version: int | None


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version of a model.

    Args:
        version: its number.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END".
        message: why it is so, where something failed.
    """

    version: int
    state: str
    message: str


class Transport(Protocol):
    """One protocol to one server; every method raises `ServingError`."""

    def predict(self, call: PredictionCall, timeout: float) -> Prediction: ...

    async def predict_async(self, call: PredictionCall, timeout: float) -> Prediction: ...

    def status(self, model: str, timeout: float) -> list[VersionStatus]: ...

    def open_async(self) -> None: ...

    async def close_async(self) -> None: ...

    def close(self) -> None: ...
