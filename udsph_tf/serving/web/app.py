"""The HTTP API and the page, on FastAPI."""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Annotated, Any

import faiss
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from udsph_tf.serving.web.engine import Answer, RequestError, SearchEngine, SearchOptions
from udsph_tf.serving.web.guards import SECURITY_HEADERS, Guard, error_body
from udsph_tf.serving.web.metrics import Metrics
from udsph_tf.serving.web.pictures import SIZES, Thumbnails
from udsph_tf.serving.web.schema import (
    ErrorBody,
    FoundItem,
    Info,
    SearchAnswer,
    answer_as_json,
    options_of,
    query_parameters,
    request_models,
)
from udsph_tf.version import __version__

__all__ = ["create_app"]

_LOG = logging.getLogger(__name__)
_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/cards.js": ("cards.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_ANY_BYTES = {"schema": {"type": "string", "format": "binary"}}
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The picture: JPEG, PNG, GIF, BMP or WebP.",
        "content": {"application/octet-stream": _ANY_BYTES, "image/*": _ANY_BYTES},
    }
}


def _errors(*statuses: int) -> dict[int, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in statuses}


_SEARCH_ERRORS = _errors(400, 404, 408, 413, 422, 429, 503)


def create_app(
    engine: SearchEngine,
    *,
    reload_seconds: float = 2.0,
    allowed_hosts: Sequence[str] = ("*",),
) -> FastAPI:
    """The search service as an ASGI app.

    Args:
        engine: encoders and index.
        reload_seconds: how often to look whether the index has changed; 0: never.
        allowed_hosts: names that requests may address the service by.
    """
    limits, metrics = engine.limits, Metrics()
    thumbnails = Thumbnails(limits.thumbnail_bytes)
    # FAISS must not start threads of its own in each of these: they share the cores already.
    pool = ThreadPoolExecutor(
        limits.workers, "search", initializer=functools.partial(faiss.omp_set_num_threads, 1)
    )
    _show_index(engine, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI):
        watcher = asyncio.create_task(_watch(engine, metrics, reload_seconds))
        try:
            yield
        finally:
            watcher.cancel()
            pool.shutdown(wait=True, cancel_futures=True)

    app = FastAPI(
        title="udsph search",
        version=__version__,
        description="Search pictures by words and words by pictures, by the Hamming distance of "
        "short binary codes.",
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.engine, app.state.metrics = engine, metrics
    _handle_errors(app)

    async def run(function: Callable, *args):
        return await asyncio.get_running_loop().run_in_executor(pool, function, *args)

    async def answer(search: Callable[..., Answer], *args, options: SearchOptions) -> Response:
        found = await run(search, *args, options)
        metrics.stages.labels("encode").observe(found.encode_seconds)
        metrics.stages.labels("search").observe(found.search_seconds)
        return _json(answer_as_json(found, options))

    by_words, by_item = request_models(limits)
    by_image = query_parameters(limits)

    @app.post("/v1/search/text", response_model=SearchAnswer, responses=_SEARCH_ERRORS)
    async def search_by_text(request: by_words):
        """Search with words."""
        return await answer(engine.search_text, request.text, options=options_of(request))

    @app.post(
        "/v1/search/image",
        response_model=SearchAnswer,
        responses=_SEARCH_ERRORS,
        openapi_extra=_IMAGE_BODY,
    )
    async def search_by_image(request: Request, parameters: Annotated[by_image, Query()]):
        """Search with a picture, which is the body of the request."""
        data = await request.body()
        return await answer(engine.search_image, data, options=options_of(parameters))

    @app.post("/v1/search/item", response_model=SearchAnswer, responses=_SEARCH_ERRORS)
    async def search_by_item(request: by_item):
        """Search with an item of the index."""
        options = options_of(request)
        return await answer(engine.search_item, request.id, request.by, options=options)

    @app.get("/v1/item", response_model=FoundItem, responses=_errors(404, 422, 503))
    async def item(id: Annotated[str, Query(max_length=4096)]):
        """One item of the index."""
        found = await run(engine.item, id)
        metadata = {name: list(values) for name, values in found.metadata.items()}
        return _json({"id": found.id, "text": found.text, "metadata": metadata})

    @app.get(
        "/v1/picture",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": _ANY_BYTES}},
            **_errors(404, 422, 429, 503),
        },
    )
    async def picture(
        id: Annotated[str, Query(max_length=4096)],
        size: Annotated[int, Query(json_schema_extra={"enum": list(SIZES)})] = SIZES[1],
    ):
        """An item's picture as a small JPEG."""
        if size not in SIZES:
            raise RequestError("bad_size", f"size must be one of {', '.join(map(str, SIZES))}")
        content = await run(lambda: thumbnails.draw(engine.item(id).image, size))
        return Response(
            content, media_type="image/jpeg", headers={"cache-control": "private, max-age=300"}
        )

    @app.get("/v1/info", response_model=Info)
    async def info():
        """What is being served, and what a request may ask for."""
        return _json(_info(engine))

    @app.get("/healthz")
    async def health():
        """Is the process alive?"""
        return _json({"status": "alive"})

    @app.get("/readyz", responses={503: {"description": "A server it needs is away"}})
    async def ready():
        """Can searches be answered? The service listens only once encoders and index are loaded."""
        if not await asyncio.to_thread(engine.is_ready):
            return _json({"status": "encoders or index do not answer"}, 503)
        return _json({"status": "ready", "generation": engine.snapshot.generation})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus():
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, (name, media_type) in _PAGE.items():
        app.add_route(path, _page_part(name, media_type), methods=["GET"])
    paths = frozenset([*_PAGE, *app.openapi()["paths"]])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_middleware(Guard, limits=limits, metrics=metrics, paths=paths)
    return app


def _show_index(engine: SearchEngine, metrics: Metrics) -> None:
    """Tell Prometheus which index is in use."""
    metrics.items.set(engine.snapshot.size)
    metrics.generation.set(engine.snapshot.generation)


async def _watch(engine: SearchEngine, metrics: Metrics, seconds: float) -> None:
    while seconds > 0:
        await asyncio.sleep(seconds)
        reloaded = await asyncio.to_thread(engine.reload)
        if reloaded is None:
            continue
        metrics.reloads.labels("success" if reloaded else "failure").inc()
        _show_index(engine, metrics)
        if reloaded:
            _LOG.info("Index reloaded: %d items", engine.snapshot.size)


def _info(engine: SearchEngine) -> dict[str, Any]:
    snapshot, limits = engine.snapshot, engine.limits
    index = snapshot.index
    finds = ["images", "texts"] + ["items"] * ("fused" in index.modalities)
    return {
        "version": __version__,
        "dataset": str(index.metadata.get("dataset", "")),
        "items": snapshot.size,
        "bits": index.num_bits,
        "lengths": list(index.lengths),
        "finds": finds,
        "exact": index.is_exact(),
        "generation": snapshot.generation,
        "model_checksum": index.model_checksum,
        "facets": snapshot.facets or {},
        "limits": {
            "upload_bytes": limits.upload_bytes,
            "pixels": limits.pixels,
            "text_length": limits.text_length,
            "k": limits.k,
            "candidates": limits.candidates,
            "filter_values": limits.filter_values,
            "requests": limits.requests,
        },
    }


def _json(content: Any, status: int = 200) -> Response:
    """JSON in ASCII: texts of items may hold half characters, which have no UTF-8."""
    return Response(json.dumps(content).encode("ascii"), status, media_type="application/json")


def _page_part(name: str, media_type: str) -> Callable:
    content = resources.files("udsph_tf.serving.web").joinpath("page", name).read_bytes()

    async def part(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return part


def _handle_errors(app: FastAPI) -> None:
    def respond(status: int, code: str, message: str, headers=None) -> Response:
        body = error_body(code, message)
        return Response(body, status, headers=headers, media_type="application/json")

    @app.exception_handler(RequestError)
    async def refused(_request: Request, error: RequestError) -> Response:
        return respond(error.status, error.code, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        # Where and why, without what was sent: it may be large, or no JSON at all.
        reasons = [
            f"{'.'.join(str(part)[:40] for part in each['loc'])}: {each['msg']}"
            for each in error.errors()[:5]
        ]
        return respond(422, "invalid_request", "; ".join(reasons)[:1000])

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        return respond(error.status_code, code, str(error.detail), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_request: Request, _error: ClientDisconnect) -> Response:
        return respond(400, "hung_up", "The connection was closed before the body was whole")

    @app.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> Response:
        _LOG.error("Request failed: %s", error, exc_info=error)
        # This answer is made outside of the guard, which adds the headers to all others.
        return respond(500, "internal", "The service failed; its log says why", SECURITY_HEADERS)
