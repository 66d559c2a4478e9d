"""The README is run: its commands on drawn pictures, its Python on what they make."""

import re
import shlex
from pathlib import Path

import pytest
from fresh_process import run_fresh

from udsph_tf import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    lines = "\n".join(blocks("console")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("udsph ")]


def test_readme_commands_parse():
    assert len(commands()) >= 6
    for command in commands():
        cli._parse(command)  # exits with code 2 on a flag that does not exist


def test_readme_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_readme_files_exist():
    for path in re.findall(r"`((?:docs|configs)/[\w./-]+\.\w+)`", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_readme_python_runs(number, drawn_collection, tiny_export, tiny_index, tmp_path):
    """With the demo's folders replaced by small ones, and a training of one epoch."""
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / "artefacts").symlink_to(tiny_export)
    (demo / "index").symlink_to(tiny_index)
    picture = next(path for path in Path(drawn_collection).glob("**/*.png"))
    (demo / "words.png").write_bytes(picture.read_bytes())
    code = blocks("python")[number].replace('"cat face"', '"red circle"')
    code = code.replace(
        '"joint_epochs": 5', '"joint_epochs": 1, "separate_epochs": 0, "refine_epochs": 0'
    )
    run_fresh(code, tmp_path)
