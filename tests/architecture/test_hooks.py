"""A hook ships with its documentation and with a test, or it does not ship."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def hooks():
    """Return every hook of the three packages, in the order of their hookspecs."""
    modules = [
        importlib.import_module(f"{package}.hookspecs")
        for package in ["telemetry_core", "telemetry_http", "telemetry_migrate"]
        if importlib.util.find_spec(f"{package}.hookspecs")
    ]
    return [
        pytest.param(value, id=name)
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "telemetry_core_spec")
    ]


def signature(hook):
    """Return the signature of *hook* as its source has it."""
    (function,) = ast.parse(inspect.getsource(hook)).body
    returns = ast.unparse(function.returns)
    return f"{function.name}({ast.unparse(function.args)}) -> {returns}"


def folded(text):
    """Return *text* without what only the layout of a long signature adds to it."""
    return re.sub(r"\s+", "", text).replace(",)", ")").replace("'", '"')


@pytest.mark.parametrize("hook", hooks())
def test_a_hook_says_when_it_is_called(hook):
    """The hookspec is documented where it stands."""
    assert hook.__doc__


@pytest.mark.parametrize("hook", hooks())
def test_a_hook_is_documented_with_its_signature(hook):
    """docs/plugins.md shows the hook exactly as an implementation writes it."""
    assert folded(signature(hook)) in folded((ROOT / "docs" / "plugins.md").read_text())


@pytest.mark.parametrize("hook", hooks())
def test_a_hook_has_a_test_of_its_name(hook):
    """Some test is called `test_hook_<name of the hook>`, with or without a fact after it."""
    wanted = re.compile(rf"def test_hook_{hook.__name__}(_\w+)?\(")
    assert any(wanted.search(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py"))
