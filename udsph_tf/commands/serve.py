"""`udsph serve`: a search service with a page for people."""

import argparse
import socket

from udsph_tf.commands.parsing import command, positive, print_json, tf_serving_flag
from udsph_tf.commands.places import IN_MILVUS, milvus_place

__all__ = ["add", "run"]

_MILVUS_SECONDS = 10.0


def add(subcommands) -> None:
    """Describe the command and its flags."""
    parser = command(
        subcommands,
        "serve",
        run,
        "serve an index: an HTTP API, and a search page for people",
        "udsph serve --artefacts artefacts/fashion --index index/fashion --port 8080",
    )
    parser.add_argument("--artefacts", required=True, metavar="DIR", help="an export folder")
    parser.add_argument(
        "--index", required=True, metavar="DIR", help=f"an index folder, {IN_MILVUS}"
    )
    tf_serving_flag(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free one (8080)")
    parser.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="name the service may be addressed by; may be repeated (on 127.0.0.1: localhost, else "
        "any)",
    )
    parser.add_argument(
        "--reload-seconds",
        type=float,
        default=2.0,
        metavar="S",
        help="how often to look for a changed index; 0: never (2)",
    )
    limits = {
        "--max-upload": ("BYTES", "bytes of a picture (10485760)"),
        "--max-pixels": ("N", "pixels of a picture (25000000)"),
        "--max-text": ("N", "characters of a text (1000)"),
        "--max-k": ("N", "hits of an answer (200)"),
        "--max-candidates": ("N", "candidates that are re-ranked (1000)"),
        "--max-requests": ("N", "requests in flight, more get status 429 (128)"),
        "--workers": ("N", "searches that run at once (one a core)"),
    }
    for flag, (metavar, text) in limits.items():
        parser.add_argument(flag, type=positive, metavar=metavar, help=f"most {text}")


def run(args: argparse.Namespace) -> None:
    """Serve until the process is stopped."""
    from udsph_tf.serving.web import Limits, SearchEngine, create_app

    given = {
        "upload_bytes": args.max_upload,
        "pixels": args.max_pixels,
        "text_length": args.max_text,
        "k": args.max_k,
        "candidates": args.max_candidates,
        "requests": args.max_requests,
        "workers": args.workers,
    }
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    listener = _listen(args.host, args.port)
    with listener:
        engine = SearchEngine(args.artefacts, _index(args.index), limits, args.tf_serving)
        hosts = args.allow_host or _own_names(args.host)
        app = create_app(engine, reload_seconds=args.reload_seconds, allowed_hosts=hosts)
        host = f"[{args.host}]" if ":" in args.host else args.host
        url = f"http://{host}:{listener.getsockname()[1]}/"
        if args.json:
            print_json({"url": url, "items": engine.snapshot.size})
        else:
            print(f"{engine.snapshot.size:,} items at {url} (stop with Ctrl+C)", flush=True)
        _serve(app, listener)
        engine.close()


def _index(text: str):
    """A folder, which is opened again when it changes; or a collection in Milvus, opened."""
    place = milvus_place(text)
    if place is None:
        return text
    from udsph_tf.search import MilvusIndex

    return MilvusIndex(*place, timeout=_MILVUS_SECONDS)


def _serve(app, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535. Received: {port}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ValueError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another --port"
        ) from error


def _own_names(host: str) -> list[str]:
    """On loopback its own names alone: no page elsewhere may reach it under another name."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return ["localhost", "127.0.0.1", "[::1]", "::1"]
    return ["*"]
