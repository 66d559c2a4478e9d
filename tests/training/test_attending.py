import json
import shutil

import numpy as np
import pytest
from PIL import Image

from udsph_tf.config import override, to_toml
from udsph_tf.data.images import load_pixels, read_image
from udsph_tf.training import RunFolder, attend
from udsph_tf.training.attending import items_of_run
from udsph_tf.training.build import build_model
from udsph_tf.training.material import prepare
from udsph_tf.training.run_folder import text_tokenizer

ITEMS = ("00.png", "04.png", "08.png")
FROZEN = {"image": {"trainable": False, "augment": False}, "text": {"trainable": False}}
BODIES = {"trainable": {}, "frozen": FROZEN}


@pytest.fixture(scope="module")
def runs(make_config, tmp_path_factory):
    """A run of trainable bodies and one of frozen ones, with the weights they begin with."""
    folder = tmp_path_factory.mktemp("attending")
    return {
        name: begin(override(make_config(), tables), folder / name, folder / "cache")
        for name, tables in BODIES.items()
    }


def begin(config, path, cache):
    """A run as `fit` leaves it after an epoch of the joint stage, but for the training."""
    run = RunFolder(path)
    run.begin(config, resume=False)
    material = prepare(config, run, cache)
    model = build_model(config, material.bodies, np.eye(material.pairs.labels.shape[1]), [1] * 6)
    model.compile()
    model.save(run.model())
    material.bodies.whole_image_hasher(model.image_hasher).save(run.model("image_encoder"))
    material.bodies.whole_text_hasher(model.text_hasher).save(run.model("text_encoder"))
    run.write_json("run", {"best_epoch": 3})
    write_history(run, scores=[0.1, 0.2, 0.3, 0.4])
    return run


def write_history(run, scores):
    stages = ["separate", "separate", "joint", "refine"]
    lines = [
        json.dumps({"epoch": epoch, "stage": stage, "score": score}) + "\n"
        for epoch, stage, score in zip(range(1, 5), stages, scores, strict=True)
    ]
    run.history.write_text("".join(lines), encoding="utf-8")


def changed(run, folder, tables=None, best_epoch=3):
    """A copy of a run with another configuration and another best epoch."""
    shutil.copytree(run.path, folder)
    (folder / "config.toml").write_text(to_toml(override(run.config(), tables or {})), "utf-8")
    copy = RunFolder(folder)
    copy.write_json("run", {"best_epoch": best_epoch})
    return copy


@pytest.mark.parametrize("bodies", ["trainable", "frozen"])
def test_attend_gives_the_attention_of_the_encoders_of_the_run(runs, bodies):
    run = runs[bodies]
    items = items_of_run(run, ITEMS)
    pairs = attend(run, items.images, items.texts)
    pixels = np.stack([load_pixels(read_image(each), 32) for each in items.images])
    ids = text_tokenizer(run.config(), run.vocabulary).encode(items.texts)
    regions = run.load("image_encoder")(pixels, training=False)["regions"]
    read = run.load("text_encoder")(ids, training=False)
    weights, agreement = run.load().attention.maps(regions, read["words"], read["word_mask"])
    assert [pair.title for pair in pairs] == list(items.texts)
    for index, pair in enumerate(pairs):
        # Both words are one piece each: nothing else was learnt from so few texts.
        assert pair.words == items.texts[index].split()
        assert (ids[index] > 0).sum() == len(pair.words) == 2
        expected = np.transpose(weights[index])[:2].reshape(2, 2, 2)
        np.testing.assert_allclose(pair.weights, expected, atol=1e-6)
        np.testing.assert_allclose(pair.agreement, agreement[index][:2], atol=1e-6)
        np.testing.assert_allclose(pair.weights.sum(axis=(1, 2)), 1, atol=1e-5)


def test_attend_averages_the_pieces_of_a_word(runs):
    image = str(items_of_run(runs["trainable"], ITEMS[:1]).images[0])
    joined, apart = attend(
        runs["trainable"], [image, image], ["red-circle square", "red - circle square"], ["a", "b"]
    )
    assert (joined.words, apart.words) == (
        ["red-circle", "square"],
        ["red", "-", "circle", "square"],
    )
    np.testing.assert_allclose(joined.weights[0], apart.weights[:3].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(joined.agreement[0], apart.agreement[:3].mean(), atol=1e-6)
    assert (joined.title, apart.title) == ("a", "b")


def test_attend_shows_the_picture_in_its_proportions(runs, tmp_path):
    shown = {(60, 80): (256, 192), (80, 40): (128, 256), (9, 300): (256, 85)}
    paths = [str(tmp_path / f"{width}.png") for width, _ in shown]
    for size, path in zip(shown, paths, strict=True):
        Image.new("RGB", size, "red").save(path)
    pairs = attend(runs["trainable"], paths, ["red"] * 3)
    assert [pair.picture.shape for pair in pairs] == [(*size, 3) for size in shown.values()]
    assert all((pair.picture == (255, 0, 0)).all() for pair in pairs)


def test_items_of_run_are_those_asked_for_in_that_order(runs):
    assert items_of_run(runs["trainable"], ITEMS[::-1]).ids.tolist() == list(ITEMS[::-1])


def test_items_of_run_unknown_id_names_the_nearest_or_some(runs):
    with pytest.raises(ValueError, match="no item `04.pgn`. Did you mean `04.png`?"):
        items_of_run(runs["trainable"], ["00.png", "04.pgn"])
    with pytest.raises(ValueError, match=r"`x`. Valid names: `00.png`, .*`19.png` and 40 more"):
        items_of_run(runs["trainable"], ["x"])


@pytest.mark.parametrize(
    ("images", "texts", "message"),
    [
        ([], [], "equally many pairs, at least one. Received: 0 images and 0 texts"),
        (["a"], ["red", "blue"], "Received: 1 images and 2 texts"),
        (["a"], [""], "The text is empty; give at least one word"),
        (["a"], [" \n"], "The text is empty"),
        (["a"], ["裙"], "The model knows no word of the text '裙'"),
        (["/absent.png"], ["red"], "^/absent.png: the file does not exist"),
        ([__file__], ["red"], "test_attending.py: not an image in a known format"),
    ],
)
def test_attend_unfit_pair_raises(runs, images, texts, message):
    with pytest.raises(ValueError, match=message):
        attend(runs["trainable"], images, texts)


def test_attend_of_a_run_without_local_term_raises(runs, tmp_path):
    run = changed(runs["trainable"], tmp_path / "run", {"loss": {"local": 0.0}})
    with pytest.raises(ValueError, match="was never trained: its `loss.local` is 0"):
        attend(run, ["a.png"], ["red"])


@pytest.mark.parametrize("best_epoch", [2, 4])
def test_attend_of_networks_from_before_the_joint_stage_raises(runs, tmp_path, best_epoch):
    # In the fourth epoch the heads were refined, over the networks of the second.
    run = changed(runs["trainable"], tmp_path / "run", best_epoch=best_epoch)
    write_history(run, scores=[0.1, 0.3, 0.2, 0.4])
    message = rf"the networks of its best epoch, {best_epoch}, .* `separate` \(epochs 1 to 2\)"
    with pytest.raises(ValueError, match=message):
        attend(run, ["a.png"], ["red"])


def test_attend_of_a_run_without_history_raises(runs, tmp_path):
    run = changed(runs["trainable"], tmp_path / "run")
    run.history.unlink()
    with pytest.raises(ValueError, match="its history is missing"):
        attend(run, ["a.png"], ["red"])


def test_attend_takes_networks_of_the_joint_stage_with_refined_heads(runs, tmp_path):
    run = changed(runs["trainable"], tmp_path / "run", best_epoch=4)
    items = items_of_run(run, ITEMS[:1])
    assert len(attend(run, items.images, items.texts)) == 1


def test_attend_of_no_run_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        attend(RunFolder(tmp_path), ["a.png"], ["red"])
