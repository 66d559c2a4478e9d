"""What the API answers to bad and hostile requests: a clear 4xx, and nothing about the machine."""

import dataclasses
import io
import json
import resource
import socket
import threading
import time
import zlib

import httpx2 as httpx
import pytest
from PIL import Image

from udsph_tf.serving.web import Limits, create_app


def refused(answer, status, code):
    """The error's message, after a look at what no answer may hold."""
    assert answer.status_code == status, answer.text
    for leak in ("Traceback", 'File "', "/tmp/", "/etc/", "site-packages", ".py"):
        assert leak not in answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    return error["message"]


def search(client, **body):
    return client.post("/v1/search/text", json={"text": "a red circle", **body})


@pytest.mark.parametrize("k", [0, -1, 10**9, 10**400, 1.5, "3", True, None, [], float("1e308")])
def test_k_out_of_range_is_refused(client, k):
    # By hand: no encoder writes a number of 400 digits.
    body = '{"text": "red", "k": ' + json.dumps(k) + "}"
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/search/text", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert "k" in answer.json()["error"]["message"] or answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": ""}, "invalid_request"),
        ({"text": "  \n"}, "text_says_nothing"),
        ({"text": "连衣裙"}, "text_says_nothing"),
        ({"text": "red" * 40}, "invalid_request"),
        ({"text": 7}, "invalid_request"),
        ({"text": None}, "invalid_request"),
        ({"radius": -1}, "invalid_request"),
        ({"radius": 17}, "bad_radius"),
        ({"bits": 12}, "bad_bits"),
        ({"bits": 8}, "bad_bits"),
        ({"find": "files"}, "invalid_request"),
        ({"filters": {"price": ["1"]}}, "bad_filters"),
        ({"filters": {"colour": "red"}}, "invalid_request"),
        ({"filters": {"colour": ["red"] * 51}}, "invalid_request"),
        ({"candidates": 10**6}, "invalid_request"),
        ({"rerank": "yes"}, "invalid_request"),
        ({"surprise": 1}, "invalid_request"),
    ],
)
def test_option_that_does_not_fit_is_refused(client, body, code):
    refused(search(client, **body), 422, code)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 50_000, b'{"text":"\\ud83d"}', b"NaN"]
)
def test_body_that_is_no_request_is_refused(client, content):
    answer = client.post(
        "/v1/search/text", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error"}


def test_text_of_a_megabyte_is_refused_before_it_is_read(client):
    answer = search(client, text="a" * 1_000_000)
    refused(answer, 413, "body_too_large")


def bomb():
    """A PNG of 30,000 x 30,000 pixels in some kilobytes, as its header says."""
    image = io.BytesIO()
    Image.new("1", (64, 64)).save(image, "PNG")
    content = bytearray(image.getvalue())
    content[16:24] = (30_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def test_picture_that_cannot_be_used_is_refused(client, picture):
    wide = io.BytesIO()
    Image.new("L", (2000, 600)).save(wide, "PNG")
    for content, code in (
        (b"", "bad_image"),
        (b"<script>alert(1)</script>", "bad_image"),
        (b"#!/bin/sh\nrm -rf /\n", "bad_image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "bad_image"),
        (picture[: len(picture) // 2], "bad_image"),
        (bytes(1000), "bad_image"),
        (bomb(), None),
        (wide.getvalue(), "too_many_pixels"),
    ):
        answer = client.post("/v1/search/image", content=content)
        refused(answer, 422, code or answer.json()["error"]["code"])


@pytest.mark.parametrize("framing", ["Content-Length: %d", "Transfer-Encoding: chunked"])
def test_upload_of_200_megabytes_is_refused_in_an_answer_that_arrives(engine, serve, framing):
    class Patient:
        limits = dataclasses.replace(engine.limits, body_seconds=60.0)
        snapshot = engine.snapshot

    pieces, piece = 200, bytes(1_000_000)
    head = "POST /v1/search/image HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n"
    if "%d" in framing:
        head %= pieces * len(piece)
    else:
        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
    with serve(create_app(Patient(), reload_seconds=0)) as running:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # All of it is sent before the answer is read, as browsers do.
        answer = raw(running, head.encode(), *[piece] * pieces)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert httpx.get(f"{running.url}/healthz").status_code == 200
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"body_too_large" in answer
    assert after - before < 50_000  # kilobytes


@pytest.mark.parametrize("options", [{"k": "0"}, {"filter": "red"}, {"bits": "x"}, {"x": "1"}])
def test_option_of_a_picture_search_that_does_not_fit_is_refused(client, picture, options):
    answer = client.post("/v1/search/image", params=options, content=picture)
    refused(answer, 422, "invalid_request")


@pytest.mark.parametrize(
    "name", ["nobody", "", "../../../etc/passwd", "/etc/passwd", "..\\..", "\x00", "%2e%2e", "🔴"]
)
def test_id_of_no_item_is_not_found(client, name):
    refused(client.post("/v1/search/item", json={"id": name}), 404, "no_such_item")
    refused(client.get("/v1/item", params={"id": name}), 404, "no_such_item")
    refused(client.get("/v1/picture", params={"id": name}), 404, "no_such_item")


def test_picture_of_an_item_that_is_no_picture_is_not_sent(client):
    # The item's picture is /etc/passwd, by a manifest of somebody hostile.
    answer = client.get("/v1/picture", params={"id": "../../etc/passwd"})
    message = refused(answer, 404, "no_picture")
    assert "passwd" not in message
    body = {"id": "../../etc/passwd", "rerank": True}
    refused(client.post("/v1/search/item", json=body), 422, "no_picture")


@pytest.mark.parametrize(
    "path", ["/../setup.py", "/static/../app.py", "/%2e%2e/engine.py", "/app.py", "/docs", "/redoc"]
)
def test_path_of_nothing_is_not_found(client, path):
    refused(client.get(path), 404, "not_found")


def test_wrong_method_is_refused(client):
    refused(client.get("/v1/search/text"), 405, "method_not_allowed")
    refused(client.delete("/v1/item"), 405, "method_not_allowed")


def test_page_is_sent_with_headers_that_keep_scripts_out(client):
    answer = client.get("/")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("/", "/app.js", "/cards.js", "/style.css"):
        text = client.get(name).text
        for outside in ("http://", "https://", "//cdn", "innerHTML", "eval("):
            assert outside not in text.replace("http://www.w3.org/2000/svg", "")


def raw(served, *parts, wait=0.0):
    """What a socket answers to bytes, sent with pauses."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(wait)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"}}" in answer:
                break
    return answer


def test_body_that_does_not_arrive_is_given_up(served):
    head = b"POST /v1/search/text HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    assert b" 408 " in raw(served, head + b'{"te').split(b"\r\n")[0]


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"99999999999999999999999999"])
def test_odd_content_length_is_refused(served, length):
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: a\r\nContent-Length: " + length
    status = raw(served, head + b"\r\n\r\n}}").split(b"\r\n")[0]
    assert b" 4" in status


def test_client_that_hangs_up_disturbs_nobody(served, client, picture):
    host, port = served.url.removeprefix("http://").split(":")
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    for sent in (b"", picture[:100], picture):
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(head % len(picture) + sent)
    assert client.post("/v1/search/image", content=picture).status_code == 200
    assert 'status="500"' not in client.get("/metrics").text


def test_too_many_requests_are_turned_away_and_told_when_to_return(engine, serve):
    busy, done = threading.Event(), threading.Event()
    small = dataclasses.replace(engine.limits, requests=1)

    class Slow:
        limits, snapshot = small, engine.snapshot

        def search_text(self, text, options):
            busy.set()
            done.wait(10)
            return engine.search_text(text, options)

    with serve(create_app(Slow(), reload_seconds=0)) as running:
        first = []
        body = {"text": "a red circle"}
        address = f"{running.url}/v1/search/text"
        thread = threading.Thread(target=lambda: first.append(httpx.post(address, json=body)))
        thread.start()
        busy.wait(10)
        second = httpx.post(address, json=body)
        assert httpx.get(f"{running.url}/healthz").status_code == 200
        done.set()
        thread.join(10)
    refused(second, 429, "too_many_requests")
    assert second.headers["retry-after"] == "1"
    assert first[0].status_code == 200


def test_fault_of_the_service_says_nothing_and_is_counted(engine, serve):
    class Broken:
        limits, snapshot = engine.limits, engine.snapshot

        def search_text(self, text, options):
            raise RuntimeError("/tmp/secret is broken")

    with serve(create_app(Broken(), reload_seconds=0)) as running:
        answer = httpx.post(f"{running.url}/v1/search/text", json={"text": "a red circle"})
        counted = httpx.get(f"{running.url}/metrics").text
    refused(answer, 500, "internal")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert 'udsph_requests_total{path="/v1/search/text",status="500"} 1.0' in counted


@pytest.mark.parametrize(
    "change", [{"k": 0}, {"upload_bytes": 10**12}, {"pixels": 10**12}, {"workers": True}]
)
def test_limits_that_make_no_sense_are_an_error(change):
    with pytest.raises(ValueError, match=f"`{next(iter(change))}` must be"):
        Limits(**change)
