import contextlib
import gzip
import pickle
import struct

import numpy as np
import pytest

from udsph_tf.data.word_vectors import check_word_vectors, plain_word, read_word_vectors

VECTORS = {"the": [0.5, -1.0, 2.0], "café": [1.0, 0.25, 0.0], "dog": [3.0, 4.0, -0.5]}


def text(vectors=VECTORS, header=False):
    lines = [" ".join([word, *map(str, each)]) for word, each in vectors.items()]
    first = [f"{len(vectors)} 3"] if header else []
    return ("\n".join(first + lines) + "\n").encode()


def binary(vectors=VECTORS, newline=b"\n"):
    words = [w.encode() + b" " + struct.pack("<3f", *v) + newline for w, v in vectors.items()]
    return f"{len(vectors)} 3\n".encode() + b"".join(words)


@pytest.fixture
def write(tmp_path):
    """Function that writes a file and gives its path."""

    def write(data, name="vectors.txt"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


FORMS = {
    "glove": text(),
    "word2vec text": text(header=True),
    "word2vec binary": binary(),
    "word2vec binary without line ends": binary(newline=b""),
    "glove, gzip": gzip.compress(text()),
    "word2vec binary, gzip": gzip.compress(binary()),
    "glove, Windows line ends": text().replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_read_word_vectors_every_format_gives_the_same_vectors(write, form):
    found, dim = read_word_vectors(write(FORMS[form]), {"cafe", "dog", "unicorn"})
    assert dim == 3
    assert {word: each.tolist() for word, each in found.items()} == {
        "cafe": VECTORS["café"],
        "dog": VECTORS["dog"],
    }
    assert found["dog"].dtype == np.float32


def test_read_word_vectors_takes_further_words_from_the_beginning(write):
    path = write(text({"a": [1, 2, 3], ",": [4, 5, 6], "b": [7, 8, 9], "c": [1, 1, 1]}))
    assert list(read_word_vectors(path, {"c"}, num_more=1)[0]) == ["a", "c"]
    # A word with punctuation is several tokens and would never be met.
    assert list(read_word_vectors(path, {"c"}, num_more=2)[0]) == ["a", "b", "c"]


def test_read_word_vectors_word_in_lower_case_comes_before_the_first_in_the_file(write):
    path = write(text({"Dog": [1, 0, 0], "DOG": [2, 0, 0], "dog": [3, 0, 0], "Cat": [4, 0, 0]}))
    found, _ = read_word_vectors(path, {"dog", "cat"})
    assert found["dog"].tolist() == [3, 0, 0]
    assert found["cat"].tolist() == [4, 0, 0]


def test_read_word_vectors_glove_words_with_blanks_in_them(write):
    words = ["the", ". . .", "at name@domain.com", "dog"]
    path = write(text({word: [row, 1, 2] for row, word in enumerate(words)}))
    found, dim = read_word_vectors(path, {"dog"})
    assert (dim, found["dog"].tolist()) == (3, [3, 1, 2])


def test_read_word_vectors_gensim_s_own_files_agree(tmp_path):
    models = pytest.importorskip("gensim.models", reason="needs: pip install gensim")
    keyed = models.KeyedVectors(3)
    keyed.add_vectors(list(VECTORS), np.array(list(VECTORS.values()), np.float32))
    for name, is_binary in (("vectors.txt", False), ("vectors.bin", True)):
        keyed.save_word2vec_format(str(tmp_path / name), binary=is_binary)
        found, _ = read_word_vectors(tmp_path / name, {"the", "cafe", "dog"})
        assert {word: each.tolist() for word, each in found.items()} == {
            plain_word(word): each for word, each in VECTORS.items()
        }
    for name, separately in (("vectors.kv", []), ("apart.kv", ["vectors"])):
        keyed.save(str(tmp_path / name), separately=separately)
        check_word_vectors(tmp_path / name)
        found, dim = read_word_vectors(tmp_path / name, {"the", "cafe", "dog"})
        assert {word: each.tolist() for word, each in found.items()} == {
            plain_word(word): each for word, each in VECTORS.items()
        }
    (tmp_path / "apart.kv.vectors.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"apart\.kv cannot be read as KeyedVectors"):
        read_word_vectors(tmp_path / "apart.kv", {"dog"})
    (tmp_path / "apart.kv.vectors.npy").unlink()
    with pytest.raises(ValueError, match=r"should be beside it, in apart\.kv\.vectors\.npy") as e:
        read_word_vectors(tmp_path / "apart.kv", {"dog"})
    # The remedy in the message does what it says.
    command = str(e.value).partition('python -c "')[2].removesuffix('"')
    (tmp_path / "vectors.kv").replace(tmp_path / "apart.kv")
    with contextlib.chdir(tmp_path):
        exec(command, {})
    assert list(read_word_vectors(tmp_path / "apart.txt", {"dog"})[0]) == ["dog"]


def test_read_word_vectors_of_a_trained_model_and_of_a_cut_file(tmp_path):
    models = pytest.importorskip("gensim.models", reason="needs: pip install gensim")
    model = models.Word2Vec([["red", "dog"]] * 5, vector_size=4, min_count=1)
    path = tmp_path / "words.kv"
    model.wv.save(str(path))
    found, _ = read_word_vectors(path, {"dog"})
    assert found["dog"].tolist() == model.wv["dog"].tolist()
    whole = path.read_bytes()
    for keep in (1, len(whole) // 3, len(whole) - 20):
        path.write_bytes(whole[:keep])
        with pytest.raises(ValueError, match=r"words\.kv cannot be read as KeyedVectors"):
            check_word_vectors(path)
    model.save(str(tmp_path / "whole.model"))
    with pytest.raises(ValueError, match=r"whole\.model .* global `gensim\.models\.word2vec"):
        check_word_vectors(tmp_path / "whole.model")


class Hostile:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_check_word_vectors_pickle_cannot_run_a_program(tmp_path, protocol):
    path = tmp_path / "words.kv"
    path.write_bytes(pickle.dumps(Hostile(), protocol))
    with pytest.raises(ValueError, match=r"words\.kv .* global `\w+\.exec` is not allowed"):
        check_word_vectors(path)


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "v.txt", "holds no word vector"),
        (b"\x80\x04\x95", "v.bin", "cannot be read as KeyedVectors of gensim 4"),
        (b"PK\x03\x04rest", "v.zip", "is a zip archive. Unpack it"),
        (gzip.compress(text(), mtime=0)[:-12], "v.gz", "cannot be read: "),
        (text(header=True)[:-17], "v.txt", "is cut off: 2 of 3 words are there"),
        (text(header=True)[:-14], "v.txt", "is cut off in line 4"),
        (text()[:-9], "v.txt", "is cut off in line 3"),
        (binary()[:-8], "v.bin", "is cut off in word 3 of 3"),
        (binary()[:-19], "v.bin", r"word 3 of 3 does not end|is cut off"),
        (b"a 1 2 3\nb 1 2\n", "v.txt", "line 2: there must be a word and 3 numbers"),
        (b"<html>\n<p>not found</p>\n", "v.txt", "line 1: there must be a word and numbers"),
        (b"a 1 2\nb 1 x\n", "v.txt", "line 2: there must be a word and 2 numbers"),
        (b"dog 1 nan 2\n", "v.txt", "the vector of 'dog' holds a number that is not finite"),
    ],
    ids=lambda value: "data" if isinstance(value, bytes) else value,
)
def test_read_word_vectors_unusable_file_raises_with_its_path(write, data, name, message):
    path = write(data, name)
    with pytest.raises(ValueError, match=message) as error:
        read_word_vectors(path, {"dog"})
    assert str(path) in str(error.value)


def test_read_word_vectors_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file of word vectors .*glove.txt"):
        read_word_vectors(tmp_path / "glove.txt", {"dog"})
