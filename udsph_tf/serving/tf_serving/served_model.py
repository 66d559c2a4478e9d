"""One model of a TensorFlow Serving server: batches, deadlines, repetitions."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tenacity

from udsph_tf.serving.tf_serving.address import Address
from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.tf_serving.grpc_transport import GrpcTransport
from udsph_tf.serving.tf_serving.rest_transport import RestTransport
from udsph_tf.serving.tf_serving.settings import ClientSettings
from udsph_tf.serving.tf_serving.transport import (
    Prediction,
    PredictionCall,
    Transport,
    VersionStatus,
)

__all__ = ["ServedModel"]


class ServedModel:
    """One model of a TensorFlow Serving server; may be called from several threads.

    A request is repeated where the server is unavailable: encoders change nothing, so a request
    that was perhaps answered already does no harm. `predict_async` belongs into `async with`.

    Args:
        address: such as "grpc://127.0.0.1:8500", "http://127.0.0.1:8501/labels/stable".
        name: the model's name.
        settings: batches, deadlines and repetitions.

    Raises:
        ValueError: it is no address.
    """

    def __init__(self, address: str, name: str, settings: ClientSettings | None = None):
        self.address = Address.parse(address)
        self.name = name
        self.settings = settings or ClientSettings()
        over_grpc = self.address.scheme.startswith("grpc")
        self._transport: Transport = (GrpcTransport if over_grpc else RestTransport)(self.address)

    def predict(
        self,
        signature: str,
        input_name: str,
        items: Sequence[bytes],
        *,
        version: int | None = None,
    ) -> tuple[dict[str, np.ndarray], set[int | None]]:
        """Outputs of a signature for n items, in their order.

        Args:
            signature: the signature's name.
            input_name: its one input.
            items: at least one.
            version: a version's number, instead of what the address says.

        Returns:
            The outputs by name, each (n, ...), and the versions that gave them; None stands for
            one that was not told, as over REST.

        Raises:
            ServingError: a request failed.
        """
        calls = self._calls(signature, input_name, items, version)
        if len(calls) == 1:
            return _joined([self._send(calls[0])])
        with ThreadPoolExecutor(min(self.settings.in_flight, len(calls))) as pool:
            try:
                return _joined(list(pool.map(self._send, calls)))
            except ServingError:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    async def predict_async(
        self,
        signature: str,
        input_name: str,
        items: Sequence[bytes],
        *,
        version: int | None = None,
    ) -> tuple[dict[str, np.ndarray], set[int | None]]:
        """As `predict`, from a coroutine."""
        gate = asyncio.Semaphore(self.settings.in_flight)

        async def send(call: PredictionCall) -> Prediction:
            async with gate:
                return await self._send_async(call)

        try:
            async with asyncio.TaskGroup() as group:
                calls = self._calls(signature, input_name, items, version)
                tasks = [group.create_task(send(call)) for call in calls]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return _joined([task.result() for task in tasks])

    def status(self) -> list[VersionStatus]:
        """The state of each version that the server knows of.

        Raises:
            ServingError: the server gave no answer, or has no such model.
        """
        retrying = tenacity.Retrying(**self._policy())
        return retrying(self._transport.status, self.name, self.settings.timeout)

    def is_ready(self) -> bool:
        """Whether the server answers and the version that the address names, or any, is served."""
        try:
            states = self._transport.status(self.name, self.settings.timeout)
        except ServingError:
            return False
        wanted = self.address.version
        return any(each.state == "AVAILABLE" and wanted in (None, each.version) for each in states)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait for a server that is starting.

        Raises:
            ServingError: it was not ready in time.
        """
        end = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() >= end:
                raise ServingError(
                    f"The model server at {self.address} had no model `{self.name}` ready within "
                    f"{seconds:g} s",
                    "UNAVAILABLE",
                )
            time.sleep(0.2)

    def close(self) -> None:
        """Give up the connections."""
        self._transport.close()

    def __enter__(self) -> "ServedModel":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    async def __aenter__(self) -> "ServedModel":
        self._transport.open_async()
        return self

    async def __aexit__(self, *_) -> None:
        await self._transport.close_async()

    def _calls(self, signature, input_name, items, version) -> list[PredictionCall]:
        version = self.address.version if version is None else version
        label = self.address.label if version is None else None
        return [
            PredictionCall(self.name, signature, input_name, batch, version, label)
            for batch in self._batches(items)
        ]

    def _batches(self, items: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
        batch, length = [], 0
        for item in items:
            full = len(batch) == self.settings.max_batch
            if batch and (full or length + len(item) > self.settings.max_batch_bytes):
                yield tuple(batch)
                batch, length = [], 0
            batch.append(item)
            length += len(item)
        yield tuple(batch)

    def _send(self, call: PredictionCall) -> Prediction:
        left = _Countdown(self.settings.timeout)
        retrying = tenacity.Retrying(**self._policy())
        return retrying(lambda: self._transport.predict(call, left()))

    async def _send_async(self, call: PredictionCall) -> Prediction:
        left = _Countdown(self.settings.timeout)

        async def send() -> Prediction:
            return await self._transport.predict_async(call, left())

        return await tenacity.AsyncRetrying(**self._policy())(send)

    def _policy(self) -> dict:
        settings = self.settings
        return {
            "retry": tenacity.retry_if_exception(
                lambda error: isinstance(error, ServingError) and error.retryable
            ),
            # Random, so that many clients of a server that comes back do not ask all at once.
            "wait": tenacity.wait_random_exponential(settings.first_delay, settings.max_delay),
            "stop": tenacity.stop_any(
                tenacity.stop_after_attempt(settings.attempts),
                tenacity.stop_before_delay(settings.timeout),
            ),
            "reraise": True,
        }


class _Countdown:
    """Seconds that are left of `seconds`, at least a little."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        return max(self._end - time.monotonic(), 0.001)


def _joined(parts: list[Prediction]) -> tuple[dict[str, np.ndarray], set[int | None]]:
    outputs = {
        name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs
    }
    return outputs, {part.version for part in parts}
