import doctest
import importlib
import pkgutil

import pytest

import udsph_tf.data

MODULES = ["codes", "config", "files"]
MODULES += [f"data.{module.name}" for module in pkgutil.iter_modules(udsph_tf.data.__path__)]
WITH_EXAMPLES = {"codes", "config", "files", "data.pairs", "data.tokenizer"}


@pytest.mark.parametrize("name", MODULES)
def test_module_examples_run_give_the_documented_values(name):
    module = importlib.import_module(f"udsph_tf.{name}")
    outcome = doctest.testmod(module)
    assert outcome.failed == 0
    assert outcome.attempted > 0 or name not in WITH_EXAMPLES
