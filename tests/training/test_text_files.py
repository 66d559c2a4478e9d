import numpy as np
import pytest

from udsph_tf.config import Config, override
from udsph_tf.training import RunFolder
from udsph_tf.training.bodies import build_image_body, build_text_body
from udsph_tf.training.run_folder import text_tokenizer
from udsph_tf.training.text_files import check_text_sources, read_word_tables, write_text_files

TEXTS = ["sky sea", "sea sun", "sky nikon", "sun sea sky"]


@pytest.fixture
def write(tmp_path):
    """Function from a `[text]` table to a run's vocabulary and word tables."""

    def write(text, texts=TEXTS):
        config = override(Config(), {"text": {"max_tokens": 4, "vocabulary_size": 8, **text}})
        run = RunFolder(tmp_path / "run")
        run.begin(config, resume=False)
        write_text_files(config, run, texts)
        return config, text_tokenizer(config, run.vocabulary), read_word_tables(run)

    return write


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("sky 1 2 3\nmoon 4 5 6\nsea 7 8 9\nstar 0 1 0\nmars 2 2 2\n")
    return str(path)


def test_write_text_files_words_of_a_file_training_words_first_then_others(write, vectors):
    config, tokenizer, tables = write({"body": "word2vec", "vectors": vectors})
    words = tokenizer.vocabulary
    assert sorted(words[2:6]) == ["nikon", "sea", "sky", "sun"]
    assert list(words[6:]) == ["moon", "star"]  # up to the eight that the vocabulary may hold
    rows = {word: tables["words"][number].tolist() for number, word in enumerate(words)}
    assert (rows["sky"], rows["sea"], rows["moon"]) == ([1, 2, 3], [7, 8, 9], [4, 5, 6])
    assert not tables["words"][:2].any()
    # A training word that the file lacks is drawn, and no two of them are alike.
    assert np.abs(np.subtract(rows["nikon"], rows["sun"])).max() > 0.1
    body = build_text_body(config, len(words), word_tables=tables)
    ids = tokenizer.encode(["moon sea quasar"])
    np.testing.assert_allclose(body(ids)["pooled"], [[5.5, 6.5, 7.5]])


def test_write_text_files_of_another_language_raises_with_the_remedy(write, vectors):
    with pytest.raises(ValueError, match="None of the 2 words .*glove.txt. .*text.vectors=''"):
        write({"body": "word2vec", "vectors": vectors}, ["himmel meer"])


@pytest.mark.parametrize("body", ["word2vec", "doc2vec"])
def test_write_text_files_trains_vectors_for_every_word(write, body):
    pytest.importorskip("gensim", reason="needs: pip install gensim")
    table = {"body": body, "embedding_dim": 8, "vector_epochs": 2, "trainable": body != "doc2vec"}
    config, tokenizer, tables = write(table)
    assert tables["words"].shape == (len(tokenizer.vocabulary), 8)
    assert np.abs(tables["words"][2:]).sum(axis=1).min() > 0
    built = build_text_body(config, len(tokenizer.vocabulary), word_tables=tables)
    assert built.output["pooled"].shape == (None, 8)
    assert built.name == body


def test_write_text_files_bag_of_words_says_what_long_texts_lose(write, caplog):
    _, tokenizer, tables = write({"body": "bag_of_words"}, [*TEXTS, "sea sun sky sea sun"])
    assert "1 of 5 training texts have more than text.max_tokens=4 words" in caplog.text
    assert tables is None
    assert tokenizer.encode(["sea"])[0, 1] == 0


@pytest.mark.parametrize(
    ("text", "texts", "told"),
    [
        ({}, TEXTS, True),  # "nikon" is one of nine words
        ({}, [*TEXTS, "sky nikon"], False),
        ({"whole_words": True}, TEXTS, False),
    ],
)
def test_write_text_files_names_a_pretrained_body_where_many_words_are_rare(
    write, caplog, text, texts, told
):
    caplog.set_level("INFO")
    write({"vocabulary_size": 60, **text}, texts)
    assert ("of the words of new texts" in caplog.text) == told
    assert ("About 11%" in caplog.text) == told


def test_check_text_sources_tells_a_missing_file_before_any_work(tmp_path):
    missing = str(tmp_path / "glove.txt")
    config = override(Config(), {"text": {"body": "word2vec", "vectors": missing}})
    with pytest.raises(FileNotFoundError, match="There is no file of word vectors .*glove.txt"):
        check_text_sources(config)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"body": "cnn_f", "size": 224}, ValueError, "imagenet-vgg-f.mat, one of MatConvNet's"),
        (
            {"body": "cnn_f", "size": 224, "weights": "no.mat"},
            FileNotFoundError,
            "There is no .*no.mat",
        ),
        (
            {"body": "cnn_f", "size": 64, "weights": "random"},
            ValueError,
            r"must be \(224, 224, 3\)",
        ),
        (
            {"body": "keras_hub", "preset": "x", "weights": "w.h5"},
            ValueError,
            "must be empty or `random` for keras_hub, whose presets hold their weights",
        ),
    ],
)
def test_build_image_body_without_what_it_needs_says_so(table, error, message):
    config = override(Config(), {"image": {"trainable": False, **table}})
    with pytest.raises(error, match=message):
        build_image_body(config)
