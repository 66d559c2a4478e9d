import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from udsph_tf.artefacts import ExportError, read_manifest
from udsph_tf.config import override, to_toml
from udsph_tf.data import CATALOGUE
from udsph_tf.data.images import ImageError
from udsph_tf.export import export, exporter
from udsph_tf.export.model_card import model_card
from udsph_tf.export.verification import EXACT_FORMS, compare_codes
from udsph_tf.training import RunFolder

TEXT_FORMS = {"saved_model", "saved_model_session", "float32.tflite", "dynamic.tflite"}
FORMS = {"text": TEXT_FORMS, "image": TEXT_FORMS | {"float16.tflite", "int8.tflite"}}
QUANTIZED = {"float16.tflite", "dynamic.tflite", "int8.tflite"}


@pytest.fixture
def held_back(tiny_pairs):
    return tiny_pairs.take(tiny_pairs.indices("query")[:2])


def test_export_of_a_run_writes_these_files(tiny_export):
    files = {path.relative_to(tiny_export).as_posix() for path in tiny_export.rglob("*")}
    expected = {f"{each}/1/saved_model.pb" for each in ("image", "text")}
    expected |= {
        f"{each}.{form}.tflite" for each in ("image", "text") for form in ("float32", "dynamic")
    }
    expected |= {"manifest.json", "verification.json", "vocabulary.txt"}
    assert expected <= files
    assert {path.name for path in tiny_export.parent.iterdir()} == {"drawn", "done", "lock"}


def test_manifest_says_what_a_client_needs(tiny_export, tiny_run, tiny_config):
    manifest = read_manifest(tiny_export)
    assert manifest["num_bits"] == 16
    assert manifest["bit_order"].startswith("big: the first bit")
    assert manifest["bit_meaning"] == "1 where hash >= 0"
    assert manifest["image"]["size"] == 32
    assert manifest["image"]["range"] == [0, 255]
    assert manifest["image"]["resize"]["filter"].startswith("triangle")
    assert manifest["text"]["encoding"] == "UTF-8"
    assert manifest["text"]["max_tokens"] == 8
    vocabulary = tiny_run.vocabulary.read_bytes()
    assert (tiny_export / "vocabulary.txt").read_bytes() == vocabulary
    assert manifest["text"]["vocabulary_sha256"] == hashlib.sha256(vocabulary).hexdigest()
    assert manifest["config"]["network"]["num_bits"] == tiny_config.network.num_bits
    assert manifest["validation_measure"] == "MAP"
    assert manifest["validation_score"] == tiny_run.require_finished()["validation_score"]
    assert {"python", "udsph-tf", "tensorflow", "keras"} <= set(manifest["versions"])


def test_model_card_names_what_the_run_was_selected_by(tiny_export, tiny_run):
    card = (tiny_export / "README.md").read_text(encoding="utf-8")
    score = tiny_run.require_finished()["validation_score"]
    assert f"Selected on validation items: MAP {score:.4f}, mean of both directions." in card


def card_of(tiny_export, results=None, **changed):
    manifest = {**read_manifest(tiny_export), **changed}
    quantization = json.loads((tiny_export / "quantization.json").read_text())
    counts = {"train": 9, "query": 2}
    return model_card(manifest, CATALOGUE["manifest"], counts, results, quantization)


def test_model_card_of_a_run_that_held_nothing_back_says_so(tiny_export):
    card = card_of(tiny_export, validation_score=None)
    assert "No item was held back to choose by: the last epoch was kept." in card


def test_model_card_without_labels_has_recall(tiny_export):
    recall = {"map": None, "own_item_recall_at_k": {"1": 0.25, "5": 0.5, "10": 0.75}}
    results = {
        "counts": {"query": 2, "database": 9},
        "relevance": "its own item",
        "directions": {"image_to_text": recall, "text_to_image": recall},
    }
    card = card_of(tiny_export, results)
    assert "2 query items; relevant: its own item, among these and 9 of the database" in card
    assert "| image to text | 0.2500 | 0.5000 | 0.7500 |" in card


def test_export_without_labels_has_no_map(tiny_run, held_back, tmp_path):
    unlabelled = dataclasses.replace(held_back, labels=np.zeros((2, 0)), label_names=())
    said = export(tiny_run, tmp_path / "out", unlabelled)
    for variants in said["quantization"]["variants"].values():
        assert {each["map_as_query"] for each in variants.values()} == {None}
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| text | float32 | 100.000% | 0.00% | - | - |" in card


def test_validation_score_of_runs_of_earlier_versions_has_its_measure(tiny_run, tmp_path):
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    run.write_json("run", {"validation_map": 0.25})
    assert run.validation_score() == ("MAP", 0.25)
    tables = {"training": {"criterion": "ndcg"}}
    (run.path / "config.toml").write_text(to_toml(override(run.config(), tables)), "utf-8")
    run.write_json("run", {"validation_map": 0.25, "validation_score": 0.75})
    assert run.validation_score() == ("NDCG@100", 0.75)


def test_manifest_checksums_are_those_of_every_other_file(tiny_export):
    files = {
        path.relative_to(tiny_export).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tiny_export.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert read_manifest(tiny_export)["files"] == files


def test_verification_compares_every_form_on_the_held_back_items(tiny_export, tiny_pairs):
    verification = json.loads((tiny_export / "verification.json").read_text())
    number = len(tiny_pairs.indices("query"))
    assert set(verification) == {"image", "text"}
    for modality, forms in verification.items():
        assert set(forms) == FORMS[modality]
        for form, report in forms.items():
            assert (report["items"], report["bits"]) == (number, 16 * number)
            assert report["agreement"] == 1 - report["differing_bits"] / report["bits"]
            if form not in QUANTIZED:
                assert report["differing_bits_not_near_zero"] == 0


def test_a_float32_form_with_a_bit_of_its_own_is_an_error():
    logits = np.full((3, 16), 2.0)
    packed = np.full((3, 2), 255, np.uint8)
    forms = {form: compare_codes(logits, packed) for form in EXACT_FORMS}
    exporter._require_equal({"image": forms, "text": forms})
    packed[1, 0] = 0b11111110
    changed = {**forms, "saved_model_session": compare_codes(logits, packed)}
    expected = "The text encoder's saved_model_session differs from the Keras model in 1 bits"
    with pytest.raises(ExportError, match=expected):
        exporter._require_equal({"image": forms, "text": changed})


def test_an_export_that_fails_names_the_picture_and_leaves_nothing(tiny_run, held_back, tmp_path):
    gone = dataclasses.replace(held_back, images=[str(tmp_path / "gone.png")] * 2)
    with pytest.raises(ImageError, match="gone.png: the file does not exist"):
        export(tiny_run, tmp_path / "deep" / "out", gone)
    assert list((tmp_path / "deep").iterdir()) == []


def test_export_of_an_unfinished_run_says_how_to_finish_it(tiny_run, held_back, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has not ended. Go on with it: .*--resume"):
        export(RunFolder(tmp_path / "run"), tmp_path / "out", held_back)
    with pytest.raises(FileNotFoundError, match="is not a run folder; `udsph fit --out` makes one"):
        export(RunFolder(tmp_path / "absent"), tmp_path / "out", held_back)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_export_of_a_changed_missing_or_foreign_encoder_says_so(tiny_run, held_back, tmp_path):
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    path = run.model("image_encoder")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="image_encoder.keras is not what training wrote"):
        export(run, tmp_path / "out", held_back)
    # As of another version: the file is whole, and not what this version reads.
    run.write_json("run", {**run.read_json("run"), "sha256": {}})
    run.write_json("versions", {"udsph-tf": "0.0.1"})
    with pytest.raises(ValueError, match=r"cannot be read by udsph-tf .* made by 0\.0\.1"):
        export(run, tmp_path / "out", held_back)
    path.unlink()
    with pytest.raises(ValueError, match="image_encoder.keras is missing"):
        export(run, tmp_path / "out", held_back)
    (run.path / "run.json").write_text('{"best_epoch": ')
    with pytest.raises(ValueError, match="run.json is damaged"):
        export(run, tmp_path / "out", held_back)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_export_to_an_existing_folder_is_refused_before_any_work(
    tiny_run, held_back, tmp_path, capsys
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    with pytest.raises(FileExistsError, match="Choose another folder, or pass overwrite"):
        export(tiny_run, tmp_path / "out", held_back)
    assert capsys.readouterr().err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("names", [("mine",), ("manifest.json", "mine"), ("model.keras",)])
def test_export_with_overwrite_never_replaces_what_is_no_export(
    tiny_run, held_back, tmp_path, names
):
    (tmp_path / "out").mkdir()
    for name in names:
        (tmp_path / "out" / name).write_text("precious")
    with pytest.raises(FileExistsError, match="is not an export .* not replaced"):
        export(tiny_run, tmp_path / "out", held_back, overwrite=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)


def test_export_with_overwrite_never_replaces_a_file(tiny_run, held_back, tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(FileExistsError, match="is not an export"):
        export(tiny_run, tmp_path / "out", held_back, overwrite=True)
    assert (tmp_path / "out").read_text() == "precious"


def test_export_without_held_back_items_is_an_error(tiny_run, held_back, tmp_path):
    with pytest.raises(ValueError, match="`held_back` must hold at least one item"):
        export(tiny_run, tmp_path / "out", held_back.take([]))
