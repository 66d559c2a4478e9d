"""The wheel: one package, typed, with its metadata and its command."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    # Built from a copy: setuptools leaves a build/ behind, and takes stale files out of it.
    shutil.copytree(ROOT / "udsph_tf", source / "udsph_tf")
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, cwd=folder)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def read(wheel, suffix):
    (name,) = [name for name in wheel.namelist() if name.endswith(suffix)]
    return wheel.read(name).decode()


def test_wheel_top_level_is_udsph_tf_alone(wheel):
    assert read(wheel, "top_level.txt").split() == ["udsph_tf"]
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"udsph_tf"}


def test_wheel_is_typed_and_licensed(wheel):
    assert "udsph_tf/py.typed" in wheel.namelist()
    assert "Apache License" in read(wheel, "LICENSE")


def test_wheel_has_the_search_page(wheel):
    for name in ("index.html", "app.js", "cards.js", "style.css", "icon.svg"):
        assert read(wheel, f"serving/web/page/{name}")


def test_wheel_has_the_command_and_the_extras(wheel):
    assert "udsph = udsph_tf.cli:run" in read(wheel, "entry_points.txt")
    metadata = read(wheel, "METADATA")
    extras = ["demo", "matlab", "pretrained", "milvus", "beam", "serving", "service", "word2vec"]
    for extra in (*extras, "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert re.search(r"^License(-Expression)?: Apache-2.0$", metadata, re.MULTILINE)
