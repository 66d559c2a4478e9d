import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import udsph_tf
from udsph_tf.evaluation import (
    evaluate_directions,
    plot_precision_at_k,
    plot_precision_by_radius,
    plot_precision_recall,
)

PLOTS = [plot_precision_recall, plot_precision_at_k, plot_precision_by_radius]


@pytest.fixture(scope="module")
def results():
    generator = np.random.default_rng(4)
    query = generator.integers(0, 256, (10, 2), dtype=np.uint8)
    database = generator.integers(0, 256, (60, 2), dtype=np.uint8)
    labels = generator.integers(0, 2, (70, 3))
    return evaluate_directions(query, query, database, database, labels[:10], labels[10:])


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


@pytest.mark.parametrize("plot", PLOTS)
def test_plot_results_writes_one_labelled_png(tmp_path, results, saved_figures, plot):
    plot(results, tmp_path / "plot.png")
    assert os.listdir(tmp_path) == ["plot.png"]
    height, width = imread(tmp_path / "plot.png").shape[:2]
    assert width > 700
    assert height > 500

    axes = saved_figures[0].axes
    assert "16 bits" in axes[0].get_title()
    assert axes[-1].get_xlabel()
    assert all(panel.get_ylabel() for panel in axes)
    names = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert names == ["image to text", "text to image"]


def test_plot_precision_at_k_lines_are_the_results(tmp_path, results, saved_figures):
    plot_precision_at_k(results, tmp_path / "plot.png")
    line = saved_figures[0].axes[0].lines[0]
    expected = results["image_to_text"]["precision_at_k"]
    assert line.get_xdata().tolist() == [int(k) for k in expected]
    assert line.get_ydata().tolist() == list(expected.values())


def test_plot_precision_by_radius_undefined_precision_is_a_gap(tmp_path, saved_figures):
    query, database = np.array([[0]], dtype=np.uint8), np.array([[0b11]], dtype=np.uint8)
    results = evaluate_directions(query, query, database, database, [[1]], [[1]])
    plot_precision_by_radius(results, tmp_path / "plot.png")
    precision, answered = (axes.lines[0].get_ydata() for axes in saved_figures[0].axes)
    assert np.isnan(precision).tolist() == [True, True] + 7 * [False]
    assert answered.tolist() == [0, 0] + 7 * [1]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("unfit", [{}, {"map": 0.5}, {"image_to_text": {"map": 0.5}}])
def test_plot_not_results_raises_and_writes_nothing(tmp_path, plot, unfit):
    with pytest.raises(ValueError, match="`results` must map names of directions"):
        plot(unfit, tmp_path / "plot.png")
    assert os.listdir(tmp_path) == []


def test_import_evaluation_loads_no_framework_and_plots_no_pyplot(tmp_path):
    program = (
        "import sys\n"
        "import udsph_tf.evaluation as evaluation\n"
        "heavy = {'keras', 'tensorflow', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
        "row = {'precision_at_k': {'1': 0.5}}\n"
        f"evaluation.plot_precision_at_k({{'image_to_text': row}}, {str(tmp_path / 'p.png')!r})\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(udsph_tf.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split("\n")[:2] == ["[]", "False"]
