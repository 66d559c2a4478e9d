import doctest
import importlib
import pkgutil

import pytest

import udsph_tf.evaluation

MODULES = [module.name for module in pkgutil.iter_modules(udsph_tf.evaluation.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_module_examples_run_give_the_documented_numbers(name):
    module = importlib.import_module(f"udsph_tf.evaluation.{name}")
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_public_functions_docstring_has_example():
    for name in udsph_tf.evaluation.__all__:
        documented = getattr(udsph_tf.evaluation, name)
        if name != "RadiusCurve":
            assert ">>>" in documented.__doc__, name
