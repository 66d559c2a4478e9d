"""What the API answers to good requests, over a real socket."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from udsph_tf.search import open_index, write_index
from udsph_tf.serving import ImageEncoder, TextEncoder
from udsph_tf.serving.web import RequestError, SearchEngine, SearchOptions


@pytest.fixture(scope="module")
def index(served_index):
    return open_index(served_index)


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


@pytest.mark.parametrize(
    ("find", "modality"), [("images", "image"), ("texts", "text"), ("items", "fused")]
)
def test_search_with_words_gives_the_hits_of_the_index(client, index, tiny_export, find, modality):
    answer = client.post("/v1/search/text", json={"text": "a red circle", "find": find, "k": 7})
    (expected,) = index.search(TextEncoder(tiny_export).encode(["a red circle"]), modality, 7)
    assert ids(answer) == [hit.item.id for hit in expected]
    said = answer.json()
    assert [hit["distance"] for hit in said["hits"]] == [hit.distance for hit in expected]
    assert [hit["rank"] for hit in said["hits"]] == list(range(1, 8))
    assert said["hits"][0]["text"] == expected[0].item.text
    assert {key: said[key] for key in ("find", "bits", "exact", "reranked", "generation")} == {
        "find": find,
        "bits": 16,
        "exact": True,
        "reranked": False,
        "generation": 1,
    }


def test_search_with_a_picture_gives_the_hits_of_the_index(client, index, tiny_export, picture):
    answer = client.post(
        "/v1/search/image",
        params={"k": 5, "filter": ["colour=red", "shape=circle"]},
        content=picture,
    )
    (expected,) = index.search(
        ImageEncoder(tiny_export).encode([picture]),
        "image",
        5,
        filters={"colour": ["red"], "shape": ["circle"]},
    )
    assert ids(answer) == [hit.item.id for hit in expected]
    for hit in answer.json()["hits"]:
        assert hit["metadata"] == {"colour": ["red"], "shape": ["circle"]}


@pytest.mark.parametrize("by", ["image", "text", "fused"])
def test_search_with_an_item_finds_it_at_distance_zero(client, index, by):
    body = {"id": "007", "by": by, "find": "items" if by == "fused" else f"{by}s", "k": 50}
    answer = client.post("/v1/search/item", json=body)
    assert "007" in [hit["id"] for hit in answer.json()["hits"] if hit["distance"] == 0]


@pytest.mark.parametrize("by", ["image", "text", "fused"])
def test_search_reranked_orders_by_asymmetric_distance(client, by):
    body = {"id": "007", "by": by, "k": 30, "rerank": True}
    said = client.post("/v1/search/item", json=body).json()
    asymmetric = [hit["asymmetric"] for hit in said["hits"]]
    assert said["reranked"] is True
    assert asymmetric == sorted(asymmetric)
    assert any(value != int(value) for value in asymmetric)


def test_search_within_a_radius_gives_nothing_beyond_it(client):
    body = {"text": "a red circle", "k": 80}
    all_hits = client.post("/v1/search/text", json=body).json()["hits"]
    near = client.post("/v1/search/text", json={**body, "radius": 3}).json()["hits"]
    assert near == [hit for hit in all_hits if hit["distance"] <= 3]


def test_search_filters_are_and_between_fields_and_or_within(client):
    filters = {"colour": ["red", "blue"], "shape": ["circle"]}
    hits = client.post(
        "/v1/search/text", json={"text": "a red circle", "k": 100, "filters": filters}
    ).json()["hits"]
    assert len(hits) == 14
    assert {hit["text"] for hit in hits} == {"a red circle", "a blue circle"}
    none = {"text": "red", "filters": {"colour": ["purple"]}}
    assert client.post("/v1/search/text", json=none).json()["hits"] == []


def test_info_tells_what_can_be_asked_for(client):
    said = client.get("/v1/info").json()
    assert (said["items"], said["bits"], said["lengths"]) == (86, 16, [16])
    assert said["finds"] == ["images", "texts", "items"]
    assert said["facets"]["colour"] == {"blue": 21, "green": 21, "red": 21, "yellow": 21}
    assert said["limits"]["k"] == 100


def test_item_tells_words_and_metadata_and_no_path(client):
    said = client.get("/v1/item", params={"id": "000"}).json()
    assert said == {
        "id": "000",
        "text": "a red circle",
        "metadata": {"colour": ["red"], "shape": ["circle"]},
    }


def test_picture_is_drawn_anew_as_a_small_jpeg(client):
    for size in (160, 320):
        answer = client.get("/v1/picture", params={"id": "000", "size": size})
        assert answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.format == "JPEG"
            assert max(image.size) <= size
    again = client.get("/v1/picture", params={"id": "000", "size": 320})
    assert again.content == answer.content


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json()["status"] == "ready"


def test_metrics_count_requests_by_path_and_status(client):
    client.post("/v1/search/text", json={"text": "red", "k": 0})
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'udsph_requests_total{path="/v1/search/text",status="422"}' in text
    assert 'udsph_requests_total{path="other",status="404"}' in text
    assert 'udsph_stage_seconds_bucket{le="0.001",stage="search"}' in text
    assert "udsph_index_items 86.0" in text


def test_openapi_describes_the_limits(client):
    said = client.get("/openapi.json").json()
    words = said["components"]["schemas"]["TextSearch"]["properties"]
    assert (words["k"]["maximum"], words["text"]["maxLength"]) == (100, 100)
    assert set(said["paths"]) >= {"/v1/search/text", "/v1/search/image", "/v1/search/item"}


def test_answers_are_ascii_json_whatever_the_items_hold(client):
    answer = client.post("/v1/search/text", json={"text": "a red circle", "k": 86})
    answer.content.decode("ascii")
    texts = [hit["text"] for hit in json.loads(answer.content)["hits"]]
    assert "half \ud83d text" in texts


def test_nested_lengths_are_searched_by_their_first_bits(tiny_index, tiny_export, tmp_path):
    opened = open_index(tiny_index)
    places = np.arange(84)
    write_index(
        tmp_path / "index",
        image_packed=opened.image.codes(places),
        text_packed=opened.text.codes(places),
        items=list(opened.catalogue),
        model_checksum=opened.model_checksum,
        nested=(8, 16),
    )
    engine = SearchEngine(tiny_export, tmp_path / "index")
    answer = engine.search_text("a red circle", SearchOptions(bits=8, k=84, rerank=True))
    (packed,) = TextEncoder(tiny_export).encode(["a red circle"])
    expected = np.bitwise_count(opened.image.codes(places)[:, 0] ^ packed[0])
    assert answer.bits == 8
    assert sorted(hit.distance for hit in answer.hits) == sorted(expected.tolist())
    assert engine.search_text("a red circle", SearchOptions(bits=16)).bits == 16
    with pytest.raises(RequestError, match="bits must be a code length of the model: 8, 16"):
        engine.search_text("a red circle", SearchOptions(bits=24))
    with pytest.raises(RequestError, match="This index has no codes of items"):
        engine.search_text("a red circle", SearchOptions(find="items"))
    with pytest.raises(RequestError, match="Items of this index have no fused code"):
        engine.search_item("000", "fused", SearchOptions())
