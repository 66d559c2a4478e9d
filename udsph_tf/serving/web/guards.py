"""What stands before the app: size and time of bodies, number of requests, headers, counting."""

import asyncio
import contextlib
import json
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from udsph_tf.serving.web.limits import Limits
from udsph_tf.serving.web.metrics import Metrics

__all__ = ["SECURITY_HEADERS", "Guard", "error_body"]

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}
"""What every answer says to browsers."""

_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


def error_body(code: str, message: str) -> bytes:
    """The JSON of an error, in ASCII: half a character in a message must not break the answer."""
    return json.dumps({"error": {"code": code, "message": message}}).encode("ascii")


class _BodyError(OSError):
    """A body that is too large or too slow. Starlette takes an OSError for a lost connection."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Guard:
    """ASGI middleware that keeps a request from costing more than it may.

    A body is cut off at its limit while it arrives, whatever its header says of its length.

    Args:
        app: what stands behind.
        limits: of bodies and requests.
        metrics: where requests are counted.
        paths: paths that are counted under their own names; others count as "other".
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, paths: frozenset[str]):
        self.app, self.limits, self.metrics, self.paths = app, limits, metrics, paths
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, body = time.perf_counter(), _Body(scope, receive, self.limits.body_seconds)
        sent = _Sent(send, body)
        try:
            await self._unless_full(scope, body, sent)
        finally:
            name = scope["path"] if scope["path"] in self.paths else "other"
            # Where nothing was sent, an error is on its way to the handler that answers with 500.
            self.metrics.requests.labels(name, str(sent.status or 500)).inc()
            self.metrics.seconds.labels(name).observe(time.perf_counter() - start)

    async def _unless_full(self, scope: Scope, body: "_Body", sent: "_Sent") -> None:
        costly = scope["path"].startswith(("/v1/search/", "/v1/picture"))
        if costly and self._in_flight >= self.limits.requests:
            self.metrics.rejected.inc()
            await sent.error(429, "too_many_requests", "Too many requests; try again in a second")
            return
        self._in_flight += costly
        try:
            await self._limited(scope, body, sent)
        finally:
            self._in_flight -= costly
            self.metrics.in_flight.set(self._in_flight)

    async def _limited(self, scope: Scope, body: "_Body", sent: "_Sent") -> None:
        most = self.limits.json_bytes
        if scope["path"] == "/v1/search/image":
            most = self.limits.upload_bytes
        too_large = _BodyError(413, "body_too_large", f"The body may have at most {most:,} bytes")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > most:
            await sent.error(too_large.status, too_large.code, too_large.message)
            return
        arrived, failed = 0, None

        async def limited_receive() -> Message:
            nonlocal arrived, failed
            if body.whole:
                return await body.receive()  # a client may wait for its answer as long as it takes
            try:
                async with asyncio.timeout_at(body.deadline):
                    message = await body.receive()
            except TimeoutError:
                failed = _BodyError(408, "body_too_slow", "The body did not arrive in time")
                raise failed from None
            arrived += len(message.get("body", b""))
            if arrived > most:
                failed = too_large
                raise failed
            return message

        async def guarded_send(message: Message) -> None:
            # The app turns a body that ended early into an error of its own.
            if failed is None:
                await sent(message)

        try:
            await self.app(scope, limited_receive, guarded_send)
        except _BodyError as error:
            failed = error
        if failed is not None and sent.status == 0:
            await sent.error(failed.status, failed.code, failed.message)


class _Body:
    """What arrives of a request's body.

    Args:
        scope: the request.
        receive: where it arrives.
        seconds: how long it may take.
    """

    def __init__(self, scope: Scope, receive: Receive, seconds: float):
        headers = dict(scope["headers"])
        none = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
        self._receive, self.whole = receive, none
        self.deadline = asyncio.get_running_loop().time() + seconds

    async def receive(self) -> Message:
        message = await self._receive()
        self.whole = not message.get("more_body", False)
        return message

    async def forget(self) -> None:
        """Let the rest arrive, and drop it.

        A connection that is closed while its client still sends is reset, and then the client does
        not see the answer that it was sent.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self.deadline):
                while not self.whole:
                    await self.receive()


class _Sent:
    """Sends with the headers that every answer has, and remembers the status."""

    def __init__(self, send: Send, body: _Body):
        self._send, self._body, self.status = send, body, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *_HEADERS]
            if not self._body.whole:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif not self._body.whole and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._body.forget()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def error(self, status: int, code: str, message: str) -> None:
        body = error_body(code, message)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 429:
            headers.append((b"retry-after", b"1"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})
