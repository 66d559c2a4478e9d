"""The service over a Milvus collection (Lite) says what it says over the folder."""

import contextlib
import dataclasses
import json

import httpx2 as httpx
import numpy as np
import pytest

from udsph_tf.search import MilvusError, MilvusIndex, StoredIndex, open_index
from udsph_tf.serving.web import SearchEngine, create_app


@pytest.fixture(scope="module")
def place(tiny_index, tmp_path_factory):
    """The drawn collection in Milvus."""
    folder = open_index(tiny_index)
    codes = {
        f"{each}_packed": folder.codes_of(each).codes(np.arange(len(folder)))
        for each in folder.modalities
    }
    place = (str(tmp_path_factory.mktemp("milvus") / "lite.db"), "drawn")
    MilvusIndex.create(
        *place,
        **codes,
        items=folder.items,
        model_checksum=folder.model_checksum,
        metadata=folder.metadata,
    ).close()
    return place


@pytest.fixture(scope="module")
def index(place):
    index = MilvusIndex(*place, timeout=5.0)
    yield index
    index.close()


@pytest.fixture(scope="module")
def client_of(tiny_export, engine, serve):
    """Context manager: a client of a service over an index."""

    @contextlib.contextmanager
    def opened(index):
        with (
            serve(create_app(SearchEngine(tiny_export, index, engine.limits))) as running,
            httpx.Client(base_url=running.url, timeout=30) as client,
        ):
            yield client

    return opened


@pytest.fixture(scope="module")
def milvus(index, client_of):
    with client_of(index) as client:
        yield client


@pytest.fixture(scope="module")
def folder(tiny_index, client_of):
    with client_of(tiny_index) as client:
        yield client


def post(client, path, body):
    """In ASCII: the client itself could not send half a character."""
    headers = {"content-type": "application/json"}
    return client.post(f"/v1/search/{path}", content=json.dumps(body), headers=headers)


def found(answer):
    assert answer.status_code == 200, answer.text
    return sorted((hit["distance"], hit["id"], hit["text"]) for hit in answer.json()["hits"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("text", {"text": "a red circle"}),
        ("text", {"text": "a red circle", "find": "items", "filters": {"colour": ["red"]}}),
        ("text", {"text": "a red circle", "filters": {"colour": ["half \ud83d"]}}),
        ("text", {"text": "a red circle", "find": "texts", "radius": 4, "rerank": True}),
        ("item", {"id": "003", "by": "fused", "find": "texts"}),
        ("item", {"id": "003", "by": "image", "rerank": True}),
    ],
)
def test_searches_find_what_the_folder_finds(milvus, folder, path, body):
    answers = [post(each, path, {**body, "k": 84}) for each in (milvus, folder)]
    assert found(answers[0]) == found(answers[1])


def test_pictures_find_and_are_shown_as_from_the_folder(milvus, folder, picture):
    answers = [each.post("/v1/search/image?k=84", content=picture) for each in (milvus, folder)]
    assert found(answers[0]) == found(answers[1])
    shown = [each.get("/v1/picture", params={"id": "003"}) for each in (milvus, folder)]
    assert shown[0].status_code == 200
    assert shown[0].content == shown[1].content
    told = [each.get("/v1/item", params={"id": "003"}).json() for each in (milvus, folder)]
    assert told[0] == told[1]


def test_info_says_what_is_served(milvus):
    info = milvus.get("/v1/info").json()
    assert (info["items"], info["exact"], info["lengths"]) == (84, True, [16])
    assert info["facets"] == {}  # nobody counts them
    assert milvus.get("/readyz").status_code == 200


def test_absent_id_is_not_found(milvus):
    for name in ("none", "003' or '1'='1", ""):
        answer = post(milvus, "item", {"id": name})
        assert answer.status_code == 404, (name, answer.text)


class Away(StoredIndex):
    """An index whose server goes away."""

    gone = False

    def is_ready(self):
        return not self.gone

    def search(self, *args, **options):
        if self.gone:
            raise MilvusError("Milvus at http://secret:19530 does not do it")
        return super().search(*args, **options)

    item = codes_of_item = search


def test_server_that_is_away_is_said_with_503(tiny_index, tiny_export, serve, monkeypatch):
    there = open_index(tiny_index)
    away = Away(there.image, there.text, there.items, there.model_checksum, {})
    app = create_app(SearchEngine(tiny_export, away))
    monkeypatch.setattr(Away, "gone", True)
    with serve(app) as running:
        for path, body in (("text", {"text": "a red circle"}), ("item", {"id": "003"})):
            answer = httpx.post(f"{running.url}/v1/search/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_index")
            assert "secret" not in answer.text
        assert httpx.get(f"{running.url}/v1/picture?id=003").status_code == 503
        assert httpx.get(f"{running.url}/readyz").status_code == 503


def test_index_of_another_model_is_refused(tiny_index, tiny_export):
    other = dataclasses.replace(open_index(tiny_index), model_checksum="another")
    with pytest.raises(ValueError, match="index was built by another model"):
        SearchEngine(tiny_export, other)
