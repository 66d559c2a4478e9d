"""Searching with encoders behind a model server."""

import pytest

from udsph_tf import cli
from udsph_tf.serving import web
from udsph_tf.serving.tf_serving import ServingError

OPTIONS = web.SearchOptions(find="texts", k=20)


@pytest.fixture
def engine(address, tiny_export, tiny_index):
    made = web.SearchEngine(tiny_export, tiny_index, tf_serving=address)
    yield made
    made.close()


@pytest.fixture
def here(tiny_export, tiny_index):
    return web.SearchEngine(tiny_export, tiny_index)


def ids(answer):
    return [(hit.item.id, hit.distance) for hit in answer.hits]


def test_engine_finds_what_an_engine_with_encoders_here_finds(engine, here, pictures):
    assert engine.is_ready()
    assert ids(engine.search_text("a red circle", OPTIONS)) == ids(
        here.search_text("a red circle", OPTIONS)
    )
    assert ids(engine.search_image(pictures[0], OPTIONS)) == ids(
        here.search_image(pictures[0], OPTIONS)
    )
    rerank = web.SearchOptions(k=5, rerank=True)
    assert ids(engine.search_item("003", "fused", rerank)) == ids(
        here.search_item("003", "fused", rerank)
    )
    for bad, code in (
        (lambda: engine.search_text("连衣裙", OPTIONS), "text_says_nothing"),
        (lambda: engine.search_image(b"none", OPTIONS), "bad_image"),
    ):
        with pytest.raises(web.RequestError) as error:
            bad()
        assert error.value.code == code


def test_service_says_503_while_the_model_server_fails(engine, server):
    from fastapi.testclient import TestClient

    with TestClient(web.create_app(engine, reload_seconds=0)) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        server.cause(fail="INTERNAL", times=1)
        answer = client.post("/v1/search/text", json={"text": "a red circle"})
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "no_encoder"
        assert "127.0.0.1" not in answer.text
        assert client.post("/v1/search/text", json={"text": "a red circle"}).status_code == 200


def command(*argv):
    args = cli._parse(["udsph", *argv])
    args.command(args)


def test_search_command_finds_the_same(address, tiny_export, tiny_index, tiny_pairs, capsys):
    folders = ("--artefacts", str(tiny_export), "--index", str(tiny_index), "--json")
    for query in (("a red circle",), ("--image", str(tiny_pairs.images[0]))):
        command("search", *query, *folders)
        expected = capsys.readouterr().out
        command("search", *query, *folders, "--tf-serving", address)
        assert capsys.readouterr().out == expected


def test_search_command_at_nobody_says_so(tiny_export, tiny_index):
    folders = ("--artefacts", str(tiny_export), "--index", str(tiny_index))
    with pytest.raises(ServingError, match="The model server at http://127.0.0.1:1 answered"):
        command("search", "red", *folders, "--tf-serving", "http://127.0.0.1:1")
    with pytest.raises(ValueError, match="The address of a model server must be"):
        command("search", "red", *folders, "--tf-serving", "127.0.0.1:8500")
