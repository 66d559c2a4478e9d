import pytest
from hypothesis import given
from hypothesis import strategies as st

from udsph_tf.search import Item
from udsph_tf.search.items import StoredItems, write_items

ANY_TEXT = st.text(st.characters())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("items") / "items.jsonl"


@given(items=st.lists(st.builds(Item, id=ANY_TEXT, text=ANY_TEXT, image=ANY_TEXT), max_size=6))
def test_items_any_strings_survive_the_file(path, items):
    assert write_items(path, items) == len(items)
    assert list(StoredItems.read(path)) == items


def test_items_line_breaks_and_half_characters_survive(path):
    texts = ["two\nlines\r\n", "\u2028 \u0085 \x00", '"quoted" \\n', "红色连衣裙 👗", "half \ud83d"]
    items = [Item(str(number), text, "") for number, text in enumerate(texts)]
    write_items(path, items)
    assert path.read_bytes().count(b"\n") == len(items)
    assert list(StoredItems.read(path)) == items


def test_stored_items_behave_as_a_sequence(path):
    items = [Item(str(number), "", "") for number in range(4)]
    write_items(path, items)
    stored = StoredItems.read(path)
    assert len(stored) == 4
    assert stored[-1] == items[3]
    assert stored[1:3] == items[1:3]
    with pytest.raises(IndexError):
        stored[4]


def test_stored_items_cut_line_raises():
    with pytest.raises(ValueError, match="cut off"):
        StoredItems(b'{"id": "1", "text": "a", "ima')


@pytest.mark.parametrize("item", [Item(7, "a", "b"), ("7", "a", "b"), None])
def test_write_items_not_an_item_raises_with_its_position(path, item):
    with pytest.raises(ValueError, match="`items` must hold.*at position 1"):
        write_items(path, [Item("1", "", ""), item])
