import builtins

import numpy as np
import pytest

from udsph_tf.data.word_training import NEGATIVES, require_gensim, train_doc2vec, train_word2vec
from udsph_tf.networks import doc2vec

models = pytest.importorskip("gensim.models", reason="needs: pip install gensim")

DIM, EPOCHS, WORDS = 16, 20, 22


@pytest.fixture(scope="module")
def documents():
    """Two topics: words 2 to 11, and words 12 to 21."""
    rng = np.random.default_rng(0)
    return [(2 + 10 * (row % 2) + rng.integers(0, 10, 8)).tolist() for row in range(200)]


@pytest.fixture(scope="module")
def tables(documents):
    return train_doc2vec(documents, WORDS, dim=DIM, epochs=EPOCHS, seed=0)


@pytest.fixture(scope="module")
def gensim_model(documents):
    tagged = [
        models.doc2vec.TaggedDocument([str(each) for each in words], [row])
        for row, words in enumerate(documents)
    ]
    return models.Doc2Vec(
        documents=tagged,
        dm=0,
        dbow_words=1,
        window=5,
        vector_size=DIM,
        epochs=EPOCHS,
        seed=1,
        negative=NEGATIVES,
        ns_exponent=0.75,
        hs=0,
        min_count=1,
        sample=0,
        workers=1,
    )


def cosine(one, two):
    return one @ two / np.linalg.norm(one) / np.linalg.norm(two)


def test_train_word2vec_puts_words_of_one_topic_together(documents):
    table = train_word2vec(documents, WORDS + 3, dim=DIM, epochs=EPOCHS, seed=0)
    assert table.shape == (WORDS + 3, DIM)
    unit = table[2:WORDS] / np.linalg.norm(table[2:WORDS], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:10, :10].mean() > near[:10, 10:].mean() + 0.2
    assert not table[[0, 1, WORDS, WORDS + 2]].any()  # ids that no text has


def test_train_doc2vec_again_gives_the_same_tables(documents, tables):
    again = train_doc2vec(documents, WORDS, dim=DIM, epochs=EPOCHS, seed=0)
    for name, table in tables.items():
        np.testing.assert_array_equal(again[name], table, err_msg=name)
    other = train_doc2vec(documents, WORDS, dim=DIM, epochs=EPOCHS, seed=1)
    assert np.abs(other["words"] - tables["words"]).max() > 1e-3


def test_train_doc2vec_tables_are_gensim_s_own(tables, gensim_model):
    for word in range(2, WORDS):
        key = str(word)
        np.testing.assert_array_equal(tables["words"][word], gensim_model.wv[key])
        row = gensim_model.wv.key_to_index[key]
        np.testing.assert_array_equal(tables["predictors"][word], gensim_model.syn1neg[row])
    # gensim keeps the noise as rising sums, scaled to 31 bits.
    shares = np.diff(gensim_model.cum_table, prepend=0) / 2**31
    expected = [shares[gensim_model.wv.key_to_index[str(word)]] for word in range(2, WORDS)]
    np.testing.assert_allclose(tables["noise"][2:], expected, atol=1e-6)


def test_doc2vec_body_infers_what_gensim_s_draws_scatter_around(tables, gensim_model, documents):
    mixed = [2, 3, 12, 13, 4, 5, 14, 0]
    ids = np.array([documents[0], documents[1], mixed], np.int32)
    sizes = {"negatives": NEGATIVES, "steps": EPOCHS}
    body = doc2vec(tables["words"], tables["predictors"], tables["noise"], 8, **sizes)
    ours = np.array(body(ids)["pooled"])
    for row, words in enumerate(ids):
        known = [str(word) for word in words if word > 1]
        draws = np.array([gensim_model.infer_vector(known, epochs=EPOCHS) for _ in range(60)])
        # Two inferences of gensim differ; ours is as near to them as they are to each other.
        apart = np.mean([cosine(*draws[[at, at + 1]]) for at in range(0, 60, 2)])
        assert apart < 0.9999
        assert np.mean([cosine(draw, ours[row]) for draw in draws]) > apart - 0.01
        assert cosine(draws.mean(axis=0), ours[row]) > 0.99
        length = np.linalg.norm(ours[row]) / np.linalg.norm(draws.mean(axis=0))
        assert 0.85 < length < 1.15


@pytest.mark.parametrize("train", [train_word2vec, train_doc2vec])
@pytest.mark.parametrize("texts", [[], [[], []]])
def test_train_on_texts_without_a_word_raises(train, texts):
    with pytest.raises(ValueError, match="hold no word that the vocabulary knows"):
        train(texts, WORDS, dim=DIM, epochs=1, seed=0)


def test_require_gensim_missing_package_names_the_pip_command(monkeypatch):
    import_module = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "gensim":
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"trained by gensim: pip install 'udsph-tf\[word2vec\]'"):
        require_gensim()
