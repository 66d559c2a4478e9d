import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import udsph_tf
from udsph_tf.evaluation import AttendedPair, plot_attention


@pytest.fixture
def saved_figures(monkeypatch):
    """Figures as they are saved, to read what they show."""
    figures = []
    savefig = Figure.savefig

    def recording(figure, *args, **kwargs):
        figures.append(figure)
        savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", recording)
    return figures


def example(number=3, title="17: a red shoe", words=None, rows=2, columns=3, seed=0):
    """A black picture twice as wide as high, and drawn weights of `number` words."""
    rng = np.random.default_rng(seed)
    weights = rng.random((number, rows, columns))
    return AttendedPair(
        title=title,
        picture=np.zeros((20, 40, 3), np.uint8),
        words=words or [f"word{index}" for index in range(number)],
        weights=weights / weights.sum(axis=(1, 2), keepdims=True),
        agreement=np.linspace(-0.5, 0.5, number),
    )


def panels(figure):
    """(heading, row's titles) of every pair, the empty panels left out."""
    found = []
    for block in figure.subfigs[:-1]:
        shown = [axes for axes in block.axes if axes.images]
        found.append((block._suptitle.get_text(), shown))
    return found


def test_plot_attention_draws_a_picture_and_a_panel_for_each_word(tmp_path, saved_figures):
    pairs = [example(3), example(2, title="18: blue", seed=1)]
    plot_attention(pairs, tmp_path / "attention.png")
    assert os.listdir(tmp_path) == ["attention.png"]
    height, width = imread(tmp_path / "attention.png").shape[:2]
    assert width == 4 * 180
    assert height > 400

    drawn = panels(saved_figures[0])
    assert [heading for heading, _ in drawn] == ["17: a red shoe", "18: blue"]
    for (_, shown), pair in zip(drawn, pairs, strict=True):
        titles = [axes.get_title() for axes in shown]
        expected = [
            f"{word}\n{agreement:.2f}"
            for word, agreement in zip(pair.words, pair.agreement, strict=True)
        ]
        assert titles == ["", *expected]
        np.testing.assert_array_equal(shown[0].images[0].get_array(), pair.picture)


def test_plot_attention_lays_the_cells_over_the_whole_picture(tmp_path, saved_figures):
    pair = example(1)
    plot_attention([pair], tmp_path / "attention.png")
    ((_, (_, word)),) = panels(saved_figures[0])
    grey, heat = word.images
    assert list(grey.get_extent()) == list(heat.get_extent()) == [-0.5, 39.5, 19.5, -0.5]
    np.testing.assert_array_equal(heat.get_array(), pair.weights[0])
    assert 0 < heat.get_alpha() < 1


def test_plot_attention_cell_is_light_where_the_word_looks(tmp_path, saved_figures):
    weights = np.array([[[0.0, 0.0], [0.0, 1.0]]])  # the lower right of four cells
    picture = np.full((32, 32, 3), 128, np.uint8)
    plot_attention(
        [AttendedPair("t", picture, ["w"], weights, np.zeros(1))], tmp_path / "attention.png"
    )
    ((_, (_, word)),) = panels(saved_figures[0])
    image = imread(tmp_path / "attention.png")[::-1, :, :3]  # from below, as matplotlib counts
    scale = image.shape[1] / saved_figures[0].bbox.width
    cells = {}
    for cell in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        x, y = word.transAxes.transform((np.array(cell) + 0.5) / 2) * scale
        cells[cell] = image[int(y), int(x)].mean()
    assert max(cells, key=cells.get) == (1, 0)
    assert cells[0, 0] == cells[0, 1] == cells[1, 1] < cells[1, 0] - 0.3


def test_plot_attention_has_the_same_colours_in_every_figure(tmp_path, saved_figures):
    flat, sharp = np.full((1, 2, 2), 0.25), np.array([[[1.0, 0.0], [0.0, 0.0]]])
    for weights in (flat, sharp):
        pair = AttendedPair("t", np.zeros((8, 8, 3), np.uint8), ["w"], weights, np.zeros(1))
        plot_attention([pair], tmp_path / "attention.png")
    norms = [panels(figure)[0][1][1].images[1].norm for figure in saved_figures]
    assert [float(norm(0.25)) for norm in norms] == [0.5, 0.5]


def test_plot_attention_many_words_go_on_below(tmp_path, saved_figures):
    plot_attention([example(16), example(2)], tmp_path / "attention.png")
    (_, many), (_, few) = panels(saved_figures[0])
    assert (len(many), len(few)) == (17, 3)
    columns = [axes.get_subplotspec().colspan.start for axes in many[1:]]
    rows = [axes.get_subplotspec().rowspan.start for axes in many[1:]]
    assert columns == [1, 2, 3, 4, 5, 6, 7] * 2 + [1, 2]
    assert rows == [0] * 7 + [1] * 7 + [2] * 2


@pytest.mark.parametrize(
    "word", ["连衣裙", "$x^", "\ud800\x00\n", "w" * 300, "{}", "\\frac", "👗", "שלום"]
)
def test_plot_attention_draws_any_text_without_a_warning(tmp_path, saved_figures, word):
    plot_attention([example(1, title=word * 20, words=[word])], tmp_path / "attention.png")
    ((_, (_, panel)),) = panels(saved_figures[0])
    first = panel.get_title().split("\n")[0]
    assert len(first) <= 18
    assert first.isprintable()


def test_plot_attention_zero_agreement_has_no_sign(tmp_path, saved_figures):
    pair = AttendedPair(
        "t", np.zeros((8, 8, 3), np.uint8), ["w"], np.ones((1, 1, 1)), np.array([-0.001])
    )
    plot_attention([pair], tmp_path / "attention.png")
    assert panels(saved_figures[0])[0][1][1].get_title() == "w\n0.00"


@pytest.mark.parametrize(
    ("pairs", "name", "message"),
    [
        ([], "a.png", "`pairs` must be at least one, all of the same rows and columns"),
        ([example(), example(rows=1)], "a.png", r"Received: \[\(1, 3\), \(2, 3\)\]"),
        ([example()] * 101, "a.png", "must fit into 100 rows .* 101 pairs of 101 rows"),
        ([example()], "a.jpg", r'`path` must end in "\.png"'),
    ],
)
def test_plot_attention_unfit_argument_raises_and_writes_nothing(tmp_path, pairs, name, message):
    with pytest.raises(ValueError, match=message):
        plot_attention(pairs, tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": []}, "`words` must hold at least one word"),
        ({"words": ["a"]}, "Received: 1 words, shapes"),
        ({"weights": np.ones((3, 4))}, "must be of shape"),
        ({"agreement": np.ones((2,))}, "must be of shape"),
        ({"picture": np.ones((4, 4))}, r"`picture` must be of shape .* shape=\(4, 4\)"),
    ],
)
def test_attended_pair_whose_parts_do_not_fit_raises(changes, message):
    with pytest.raises(ValueError, match=message):
        AttendedPair(**{**vars(example(3)), **changes})


def test_plot_attention_uses_no_pyplot(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from udsph_tf.evaluation import AttendedPair, plot_attention\n"
        "picture, weights = np.zeros((8, 8, 3), np.uint8), np.ones((1, 1, 1))\n"
        "pair = AttendedPair('t', picture, ['w'], weights, np.zeros(1))\n"
        f"plot_attention([pair], {str(tmp_path / 'a.png')!r})\n"
        "print(sorted({'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(udsph_tf.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "[]\n"
