import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.data.tokenizer import (
    PAD,
    UNKNOWN,
    Tokenizer,
    as_bytes,
    build_vocabulary,
    read_vocabulary,
    share_of_new_words,
    whole_word_vocabulary,
    write_vocabulary,
)

TEXTS = ["red dress", "red shoes", "blue dress", "blue shoes", "Café crème"] * 3
#           0     1        2        3        4      5        6     7       8    9
PIECES = [PAD, UNKNOWN, "[CLS]", "[SEP]", "red", "dress", "shoe", "##s", "a", "##b"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(PIECES, 5)


@pytest.fixture(scope="module")
def bert():
    return Tokenizer(PIECES, 5, first="[CLS]", last="[SEP]")


@pytest.fixture(scope="module")
def vocabulary():
    return build_vocabulary(TEXTS, 60)


# --- Vocabulary ---


def test_build_vocabulary_begins_with_pad_and_unknown_and_has_the_words(vocabulary):
    assert vocabulary[:2] == [PAD, UNKNOWN] == ["[PAD]", "[UNK]"]
    assert {"red", "blue", "dress", "shoes", "cafe"} <= set(vocabulary)
    assert len(set(vocabulary)) == len(vocabulary)


def test_build_vocabulary_same_texts_in_any_order_gives_the_same_pieces(vocabulary):
    assert build_vocabulary(TEXTS, 60) == vocabulary
    assert build_vocabulary(TEXTS[::-1], 60) == vocabulary


def test_build_vocabulary_array_of_strings_is_taken_too(vocabulary):
    assert build_vocabulary(np.array(TEXTS, dtype=object), 60) == vocabulary


@pytest.mark.parametrize("texts", [[], [""], ["---", "!?", "  "], ["👗"]])
def test_build_vocabulary_no_word_raises(texts):
    with pytest.raises(ValueError, match="^The training texts hold no word to build a vocabulary"):
        build_vocabulary(texts, 60)


def test_build_vocabulary_one_word_is_enough():
    assert "red" in build_vocabulary(["", "red", "\ud800"], 60)


def test_whole_word_vocabulary_holds_every_word_once_the_frequent_first():
    texts = ["tag0017 tag0903", "TAG0903 Tág0005", "\ud800"]
    assert whole_word_vocabulary(texts, 9) == [PAD, UNKNOWN, "tag0903", "?", "tag0005", "tag0017"]
    assert whole_word_vocabulary(texts, 3) == [PAD, UNKNOWN, "tag0903"]


def test_share_of_new_words_foretells_the_words_of_further_texts():
    rng = np.random.default_rng(0)
    words = (rng.zipf(1.5, 20_000) % 5_000).astype(str).reshape(-1, 5)
    texts = [" ".join(row) + " !" for row in words]
    known = {word for row in words[:2000] for word in row}
    new = np.mean([word not in known for row in words[2000:] for word in row])
    assert 0.04 < new == pytest.approx(share_of_new_words(texts[:2000]), rel=0.1)


@pytest.mark.parametrize("texts", [[], [""], ["!?", "."]])
def test_share_of_new_words_without_words_is_zero(texts):
    assert share_of_new_words(texts) == 0


def test_whole_word_vocabulary_cuts_no_word_and_knows_no_stranger():
    words = [f"tag{number:04d}" for number in range(0, 900, 7)]
    tokenizer = Tokenizer(whole_word_vocabulary([" ".join(words)], 8000), 200)
    assert [
        tokenizer.vocabulary[each] for each in tokenizer.encode([" ".join(words)])[0] if each
    ] == words
    assert tokenizer.encode(["tag0001 tag0007"])[0, :3].tolist() == [1, 3, 0]


@pytest.mark.parametrize("texts", [[], [""], ["---", "!?"]])
def test_whole_word_vocabulary_no_word_raises(texts):
    with pytest.raises(ValueError, match="^The training texts hold no word to build a vocabulary"):
        whole_word_vocabulary(texts, 60)


def test_vocabulary_file_is_read_back_equal(vocabulary, tmp_path):
    path = tmp_path / "vocabulary.txt"
    write_vocabulary(path, [*vocabulary, "é", "\u2028", "日"])
    assert read_vocabulary(path) == [*vocabulary, "é", "\u2028", "日"]
    assert path.read_bytes().endswith("\n日\n".encode())


def test_read_vocabulary_without_last_line_break_or_with_crlf_is_the_same(tmp_path):
    path = tmp_path / "vocabulary.txt"
    for data in (b"[PAD]\n[UNK]\na", b"[PAD]\r\n[UNK]\r\na\r\n"):
        path.write_bytes(data)
        assert read_vocabulary(path) == [PAD, UNKNOWN, "a"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is not a vocabulary: \[PAD\] must come first, \[UNK\] somewhere"),
        (b"[UNK]\n[PAD]\n", r"is not a vocabulary: \[PAD\] must come first"),
        (b"[PAD]\na\n", r"is not a vocabulary: .*\[UNK\] somewhere"),
        (b"\xff\xfe[PAD]", "is not a vocabulary in UTF-8"),
        (b"[PAD]\n[UNK]\na\nb\na\n", "the piece 'a' is in line 3 and in line 5"),
    ],
)
def test_read_vocabulary_unfit_file_raises_with_the_path(tmp_path, data, message):
    (tmp_path / "words.txt").write_bytes(data)
    with pytest.raises(ValueError, match=rf"words\.txt:? {message}"):
        read_vocabulary(tmp_path / "words.txt")


def test_read_vocabulary_missing_file_raises_with_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.txt"):
        read_vocabulary(tmp_path / "absent.txt")


# --- Ids ---


def test_encode_words_get_their_positions_and_padding(tokenizer):
    ids = tokenizer.encode(["red dress", "shoes"])
    # "shoes" is "shoe" and "##s".
    assert ids.tolist() == [[4, 5, 0, 0, 0], [6, 7, 0, 0, 0]]
    assert ids.dtype == np.int32


def test_encode_long_text_is_cut(tokenizer):
    assert tokenizer.encode(["red dress " * 4]).tolist() == [[4, 5, 4, 5, 4]]


def test_encode_case_accents_and_spaces_do_not_matter(tokenizer):
    assert tokenizer.encode(["  RÉD\t\nDrèss "]).tolist() == [[4, 5, 0, 0, 0]]


def test_encode_unknown_word_is_one_unknown_piece(tokenizer):
    assert tokenizer.encode(["zebra red"]).tolist() == [[1, 4, 0, 0, 0]]


def test_encode_first_and_last_surround_the_text(bert):
    ids = bert.encode(["red", "red dress shoe", "red dress shoes", ""])
    # Room for three of the four pieces of "red dress shoes"; the end stays.
    assert ids.tolist() == [
        [2, 4, 3, 0, 0],
        [2, 4, 5, 6, 3],
        [2, 4, 5, 6, 3],
        [2, 3, 0, 0, 0],
    ]
    assert ids.dtype == np.int32


def test_encode_only_first_or_only_last_is_placed(tokenizer):
    first = Tokenizer(PIECES, 3, first="[CLS]")
    last = Tokenizer(PIECES, 3, last="[SEP]")
    assert first.encode(["red", "red dress shoe", ""]).tolist() == [[2, 4, 0], [2, 4, 5], [2, 0, 0]]
    assert last.encode(["red", "red dress shoe", ""]).tolist() == [[4, 3, 0], [4, 5, 3], [3, 0, 0]]


def test_encode_names_of_special_pieces_in_a_text_are_plain_words(tokenizer):
    # Brackets and the letters between them are three unknown pieces each.
    assert tokenizer.encode(["[PAD]", "[CLS]"]).tolist() == [[1, 1, 1, 0, 0]] * 2


def test_encode_no_texts_gives_no_rows(tokenizer):
    assert tokenizer.encode([]).shape == (0, 5)
    assert tokenizer.known([]).shape == (0,)


def test_encode_many_texts_are_those_of_each_alone(tokenizer):
    texts = ["red", "dress shoes"] * 2500
    ids = tokenizer.encode(texts)
    assert ids.shape == (5000, 5)
    np.testing.assert_array_equal(ids, np.tile(tokenizer.encode(texts[:2]), (2500, 1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 0, 0, 0, 0]),
        (" \t\n", [0, 0, 0, 0, 0]),
        ("👗 red", [1, 4, 0, 0, 0]),
        ("مرحبا red", [1, 4, 0, 0, 0]),
        ("\u202ered\u202c", [4, 0, 0, 0, 0]),  # marks of direction are dropped
        ("\x00red\x07 dress\x1b", [4, 5, 0, 0, 0]),  # so are control characters
        ("\ud83d red", [1, 4, 0, 0, 0]),  # half a character
        ("日本", [1, 1, 0, 0, 0]),  # each ideograph is a word
        ("x" * 1_000_000, [1, 0, 0, 0, 0]),
        ("red " * 250_000, [4, 4, 4, 4, 4]),
    ],
)
def test_encode_unusual_text_has_defined_ids(tokenizer, text, expected):
    assert tokenizer.encode([text]).tolist() == [expected]


@pytest.mark.parametrize("data", [b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x91", b"\xc0"])
def test_ids_invalid_utf8_is_unknown_and_does_not_spread(tokenizer, data):
    ids = tokenizer.ids(tf.constant([data + b" red", b"red"])).numpy()
    assert ids.tolist() == [[1, 4, 0, 0, 0], [4, 0, 0, 0, 0]]


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=40))
def test_ids_any_bytes_give_ids_of_the_vocabulary_then_padding(tokenizer, data):
    (ids,) = tokenizer.ids(tf.constant([data])).numpy()
    assert ((ids >= 0) & (ids < len(PIECES))).all()
    padding = ids == 0
    assert (padding[1:] >= padding[:-1]).all()


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_encode_text_does_not_depend_on_its_neighbours(bert, texts):
    together = bert.encode(texts)
    np.testing.assert_array_equal(together, np.concatenate([bert.encode([each]) for each in texts]))
    assert (together[:, 0] == 2).all()
    assert ((together == 3).sum(axis=1) == 1).all()


def test_as_bytes_half_characters_become_question_marks():
    assert as_bytes("é\ud83d!\udcff") == b"\xc3\xa9?!?"


def test_known_needs_one_piece_beside_the_special_ones(tokenizer, bert):
    texts = ["red", "zebra red", "zebra", "", "!?"]
    assert tokenizer.known(texts).tolist() == [True, True, False, False, False]
    assert bert.known(texts).tolist() == [True, True, False, False, False]


# --- Whole words ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red shoes", [("red", [0]), ("shoes", [1, 2])]),
        ("  RÉD\t\nShoes ", [("RÉD", [0]), ("Shoes", [1, 2])]),
        # Punctuation is a piece by itself, unknown here, and stays with its word.
        ("red-dress a", [("red-dress", [0, 1, 2]), ("a", [3])]),
        ("zebra a", [("zebra", [0]), ("a", [1])]),
        ("衣裙 red", [("衣", [0]), ("裙", [1]), ("red", [2])]),
        ("a\u200b \u200b red", [("a\u200b", [0]), ("red", [1])]),
        ("", []),
        (" \n", []),
    ],
)
def test_whole_words_are_those_between_blanks_with_their_pieces(tokenizer, text, expected):
    assert tokenizer.whole_words(text) == expected


def test_whole_words_cut_off_by_the_tokenizer_are_missing(tokenizer, bert):
    assert tokenizer.whole_words("shoes shoes shoes red") == [
        ("shoes", [0, 1]),
        ("shoes", [2, 3]),
        ("shoes", [4]),
    ]
    # [CLS] and [SEP] leave three places in the middle.
    assert bert.whole_words("red shoes a") == [("red", [1]), ("shoes", [2, 3])]


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.one_of(st.characters(), st.sampled_from("reds -\u0301衣")), max_size=12))
def test_whole_words_of_any_text_take_every_piece_once(bert, text):
    positions = [place for _, places in bert.whole_words(text) for place in places]
    (ids,) = bert.encode([text])
    assert positions == list(range(1, (ids > 0).sum() - 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([PAD, "a"], 5), r"`vocabulary` must hold the piece '\[UNK\]', and does not"),
        (([PAD, UNKNOWN], 5, "[CLS]"), r"`vocabulary` must hold the piece '\[CLS\]'"),
        ((PIECES, 0), "`max_tokens` must be at least 1.* Received: max_tokens=0"),
        (
            (PIECES, 2, "[CLS]", "[SEP]"),
            "`max_tokens` must be at least 3: one token and 2 around it. Received: max_tokens=2",
        ),
    ],
)
def test_tokenizer_unfit_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(*arguments)
