import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import udsph_tf.search

MODULES = [module.name for module in pkgutil.iter_modules(udsph_tf.search.__path__)]
SOURCES = sorted(Path(udsph_tf.search.__path__[0]).glob("*.py"))
FORBIDDEN = ("keras", "tensorflow", "udsph_tf.training", "udsph_tf.networks", "udsph_tf.losses")
FORBIDDEN += ("udsph_tf.data", "udsph_tf.export", "pickle")


@pytest.mark.parametrize("name", MODULES)
def test_module_examples_are_right(name):
    result = doctest.testmod(importlib.import_module(f"udsph_tf.search.{name}"))
    assert result.failed == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_module_imports_stay_below_the_room(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            assert not name.startswith(FORBIDDEN), f"{path.name} imports {name}"


def test_package_exports_what_it_lists():
    assert udsph_tf.search.__all__ == sorted(udsph_tf.search.__all__)
    for name in udsph_tf.search.__all__:
        assert getattr(udsph_tf.search, name).__doc__
