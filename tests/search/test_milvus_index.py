import numpy as np
import pytest

from udsph_tf.search import FaissIndex, Item, MilvusIndex, StoredIndex

SIZE = 400


@pytest.fixture(scope="module")
def database():
    """Packed 16-bit codes, which tie a lot, and items with a colour and odd words."""
    rng = np.random.default_rng(0)
    packed = {
        f"{modality}_packed": rng.integers(0, 256, (SIZE, 2), dtype=np.uint8)
        for modality in ("image", "text", "fused")
    }
    colours = ("red", 'so-"called"', "back\\slash", "grün")
    items = [
        Item(f"id {n}", 'a "thing"\n<b>é', f"{n}.jpg", {"colour": (colours[n % 4],), "x": ("1",)})
        for n in range(SIZE)
    ]
    return {**packed, "items": items, "model_checksum": "m", "metadata": {"dataset": "made"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return str(tmp_path_factory.mktemp("milvus") / "lite.db")


@pytest.fixture(scope="module")
def index(database, place):
    index = MilvusIndex.create(place, "made", **database)
    yield index
    index.close()


@pytest.fixture(scope="module")
def exact(database):
    codes = {}
    for modality in ("image", "text", "fused"):
        codes[modality] = FaissIndex(16)
        codes[modality].add(database[f"{modality}_packed"])
    return StoredIndex(
        **codes, items=database["items"], model_checksum="m", metadata={"dataset": "made"}
    )


def same_neighbours(ours, every):
    """Are `ours` the nearest of `every` hit, as sets within a distance, any at the last one?"""
    by_distance = {}
    for hit in every:
        by_distance.setdefault(hit.distance, set()).add(hit.item.id)
    assert [hit.distance for hit in ours] == [hit.distance for hit in every[: len(ours)]]
    last = ours[-1].distance
    for distance in {hit.distance for hit in ours}:
        found = {hit.item.id for hit in ours if hit.distance == distance}
        assert (
            found <= by_distance[distance] if distance == last else found == by_distance[distance]
        )
    assert len({hit.item.id for hit in ours}) == len(ours)


@pytest.mark.parametrize("modality", ["image", "text", "fused"])
@pytest.mark.parametrize("k", [1, 37, SIZE])
def test_search_finds_the_neighbours_that_faiss_finds(index, exact, modality, k):
    queries = np.random.default_rng(1).integers(0, 256, (9, 2), dtype=np.uint8)
    found = index.search(queries, modality, k)
    for ours, every in zip(found, exact.search(queries, modality, SIZE), strict=True):
        assert len(ours) == k
        same_neighbours(ours, every)
        assert [hit.rank for hit in ours] == list(range(1, k + 1))


@pytest.mark.parametrize(
    "filters",
    [
        {"colour": ["red"]},
        {"colour": ['so-"called"', "grün"]},
        {"colour": ["back\\slash"], "x": ["1"]},
        {"colour": ["red"], "x": ["2"]},
        {"size": ["red"]},
    ],
)
def test_search_with_filters_finds_what_faiss_finds(index, exact, database, filters):
    query = database["image_packed"][:1]
    (ours,) = index.search(query, "image", SIZE, filters=filters)
    (theirs,) = exact.search(query, "image", SIZE, filters=filters)
    assert {(hit.item.id, hit.distance) for hit in ours} == {
        (hit.item.id, hit.distance) for hit in theirs
    }


def test_search_hands_items_back_unchanged(index, database):
    (hits,) = index.search(database["text_packed"][7:8], "text", 20)
    assert hits[0].distance == 0
    found = {hit.item.id: hit.item for hit in hits}
    assert found["id 7"] == database["items"][7]


def test_search_reranks_and_cuts_at_a_radius_as_the_stored_index_does(index, exact, database):
    query, hashed = database["image_packed"][3:4], np.linspace(-1, 1, 16)[None]
    (ours,) = index.search(query, "fused", 10, query_hash=hashed, candidates=SIZE, radius=7)
    (theirs,) = exact.search(query, "fused", 10, query_hash=hashed, candidates=SIZE, radius=7)
    assert [hit.asymmetric for hit in ours] == [hit.asymmetric for hit in theirs]
    assert all(hit.distance <= 7 for hit in ours)


def test_index_says_what_it_is(index):
    assert (len(index), index.num_bits, index.is_exact()) == (SIZE, 16, True)
    assert (index.model_checksum, index.metadata) == ("m", {"dataset": "made"})
    assert index.modalities == ("image", "text", "fused")


def test_open_with_another_model_or_nothing_to_open_is_an_error(index, place):
    with pytest.raises(ValueError, match="index was built by another model"):
        MilvusIndex(place, "made", model_checksum="other")
    with pytest.raises(ValueError, match="has no collection absent"):
        MilvusIndex(place, "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "`k` must be a positive integer"),
        ({"k": 16_385}, "Milvus finds at most 16,384 items. Received: 16385"),
        ({"modality": "video"}, "`modality` must be one of"),
        ({"packed_query": np.zeros((1, 3), np.uint8)}, "`packed_query` must be packed codes"),
        ({"filters": {"colour": "red"}}, "`filters` must be sequences of values"),
    ],
)
def test_search_with_a_wrong_argument_is_an_error(index, change, message):
    good = {"packed_query": np.zeros((1, 2), np.uint8), "modality": "image", "k": 1}
    with pytest.raises(ValueError, match=message):
        index.search(**(good | change))


def test_create_over_a_collection_or_with_what_lite_has_not_is_refused(database, index, place):
    with pytest.raises(
        FileExistsError, match="has a collection made. Choose another name, or pass"
    ):
        MilvusIndex.create(place, "made", **database)
    for option in ({"kind": "ivf"}, {"partition_field": "colour"}):
        with pytest.raises(ValueError, match="Milvus Lite has neither BIN_IVF_FLAT nor partitions"):
            MilvusIndex.create(place, "other", **database, **option)


def test_collection_whose_filling_was_stopped_is_not_opened(database, place):
    def items():
        yield from database["items"][:3]
        raise KeyboardInterrupt

    stopped = {**database, "items": items()}
    with pytest.raises(KeyboardInterrupt):
        MilvusIndex.create(place, "stopped", **stopped)
    with pytest.raises(ValueError, match="stopped of .* is not whole: .* with --overwrite"):
        MilvusIndex(place, "stopped")
    with pytest.raises(FileExistsError, match="has a collection stopped"):
        MilvusIndex.create(place, "stopped", **database)
    whole = MilvusIndex.create(place, "stopped", **database, overwrite=True)
    assert len(whole) == SIZE
    whole.close()


def test_server_that_does_not_answer_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"Milvus at http://127\.0\.0\.1:1 does not do it: "):
        MilvusIndex("http://127.0.0.1:1", "made")


def test_ids_are_names_whatever_they_hold(database, place):
    odd = ['a "b"', "back\\slash", "\\n", "红", '"] or id != ["', ""]
    few = {f"{each}_packed": database[f"{each}_packed"][: len(odd)] for each in ("image", "text")}
    few |= {"items": [Item(name, "", "") for name in odd], "model_checksum": "m"}
    index = MilvusIndex.create(place, "odd", **few)
    assert [index.item(name).id for name in odd] == odd
    np.testing.assert_array_equal(index.codes_of_item(odd[4], "image"), few["image_packed"][4:5])
    absent = [
        "' or '1'='1",
        '"] or id != "x" or id in ["',
        "x'] or id not in ['",
        "half \ud83d",
        "\n",
    ]
    assert [index.item(name) for name in absent] == [None] * 5
    assert index.delete(absent, missing_ok=True) == 0
    assert len(index) == len(odd)
    assert index.delete(odd[:5]) == 5
    assert len(index) == 1
    for name, message in (("two\nlines", "no control characters"), ("it's", "no ' in Milvus Lite")):
        with pytest.raises(ValueError, match=message):
            index.add(**{**few, "items": [Item(name, "", "")] * len(odd)})
    index.close()


def test_add_and_delete_change_what_is_found(database, place):
    few = {name: value[:3] if name != "metadata" else value for name, value in database.items()}
    few["model_checksum"] = "m"
    index = MilvusIndex.create(place, "changed", **few)
    more = {name: few[name] for name in few if name != "metadata"}
    with pytest.raises(ValueError, match="3 ids are in the index already, such as 'id 0'"):
        index.add(**more)
    with pytest.raises(ValueError, match="The codes must be those of model 'm'"):
        index.add(**{**more, "model_checksum": "other"})
    more["text_packed"] = np.full((3, 2), 255, np.uint8)
    assert index.add(**more, replace=True) == 3
    assert len(index) == 3
    query = np.full((1, 2), 255, np.uint8)
    assert [hit.distance for hit in index.search(query, "text", 9)[0]] == [0, 0, 0]
    with pytest.raises(ValueError, match="1 ids are not in the index, such as 'id 9'"):
        index.delete(["id 1", "id 9"])
    assert index.delete(["id 1", "id 9"], missing_ok=True) == 1
    assert {hit.item.id for hit in index.search(query, "text", 9)[0]} == {"id 0", "id 2"}
    index.close()
