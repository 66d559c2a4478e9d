import pytest
from hypothesis import given
from hypothesis import strategies as st

from udsph_tf.search.lettering import load_font, wrap

FONT = load_font(14)


def test_wrap_words_breaks_at_blanks():
    limit = int(FONT.getlength("a red dress")) + 1
    assert wrap("a red dress for women", FONT, limit, 3) == ["a red dress", "for women"]


def test_wrap_too_many_words_ends_with_an_ellipsis():
    lines = wrap("word " * 100, FONT, 100, 2)
    assert len(lines) == 2
    assert lines[1].endswith("…")


def test_wrap_no_blanks_breaks_inside_the_word():
    lines = wrap("连衣裙" * 10, FONT, 100, 10)
    assert len(lines) > 1
    assert "".join(lines) == "连衣裙" * 10


@pytest.mark.parametrize("text", ["", " \n"])
def test_wrap_empty_text_gives_no_lines(text):
    assert wrap(text, FONT, 100, 2) == []


@given(text=st.text(st.characters(), max_size=80), max_lines=st.integers(1, 4))
def test_wrap_any_text_fits_the_box(text, max_lines):
    lines = wrap(text, FONT, 90, max_lines)
    assert len(lines) <= max_lines
    # One character may be wider than a line; two never share a line that is too narrow.
    assert all(FONT.getlength(line) <= 90 or len(line) <= 2 for line in lines)


def test_load_font_given_file_is_used():
    assert load_font(14, font=FONT.path).getname() == FONT.getname()
    with pytest.raises(OSError, match="."):
        load_font(14, font="no-such-font.ttf")
