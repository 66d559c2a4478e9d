import json

from udsph_tf.search import Hit, Item, format_hits, hits_as_json
from udsph_tf.search.plain_text import cut, one_line, width


def make_hits(*texts):
    return [
        Hit(Item(f"id{number}", text, f"{number}.jpg"), distance=4 * number, rank=number)
        for number, text in enumerate(texts, start=1)
    ]


def test_format_hits_two_hits_is_aligned():
    hits = [
        Hit(Item("15970", "navy shirt", ""), 3, 1),
        Hit(Item("7", "blue jeans", ""), 12, 10),
    ]
    assert format_hits("shirt", hits).splitlines() == [
        "query: shirt",
        "rank  distance  id     text",
        "   1         3  15970  navy shirt",
        "  10        12  7      blue jeans",
    ]


def test_format_hits_long_text_is_cut_with_an_ellipsis():
    line = format_hits("q", make_hits("word " * 50)).splitlines()[2]
    text = line.split("id1  ")[1]
    assert text.endswith("…")
    assert 55 < width(text) <= 60


def test_format_hits_wide_ids_keep_the_columns_aligned():
    hits = [Hit(Item("衣", "first", ""), 1, 1), Hit(Item("abcd", "second", ""), 2, 2)]
    lines = format_hits("q", hits).splitlines()[2:]
    assert width(lines[0].split("first")[0]) == width(lines[1].split("second")[0])


def test_format_hits_line_breaks_and_escape_codes_stay_in_one_line():
    table = format_hits("two\nlines", make_hits("a\nb\x1b[31mred\r\n"))
    assert table.splitlines()[0] == "query: two lines"
    assert len(table.splitlines()) == 3
    assert "\x1b" not in table


def test_format_hits_no_hits_says_so():
    assert format_hits("dress", []) == "query: dress\nno hits"


def test_hits_as_json_survives_json():
    hits = make_hits("红色\n连衣裙")
    loaded = json.loads(json.dumps(hits_as_json("红", hits)))
    assert loaded == {
        "query": "红",
        "hits": [
            {
                "rank": 1,
                "distance": 4,
                "id": "id1",
                "text": "红色\n连衣裙",
                "image": "1.jpg",
                "metadata": {},
            }
        ],
    }


def test_cut_wide_characters_never_exceeds_the_columns():
    # Three wide characters are 6 columns; with the ellipsis 5 columns hold two of them.
    assert cut("连衣裙", 6) == "连衣裙"
    assert cut("连衣裙", 5) == "连衣…"
    assert cut("连衣裙", 4) == "连…"


def test_width_combining_mark_takes_no_column():
    assert width("e\u0301") == 1


def test_one_line_half_character_becomes_printable():
    assert one_line("a\ud83d b").encode("utf-8") == b"a b"
