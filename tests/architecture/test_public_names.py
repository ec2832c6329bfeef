"""`__all__` is the public surface: what stands in it is there, and nothing else is public."""

import importlib
from types import ModuleType

import pytest

PUBLIC = [
    "telemetry_core",
    "telemetry_core.testing",
    "telemetry_http",
    "telemetry_migrate",
    "telemetry_host",
    "telemetry_postgres",
]


def public_names(package):
    """Return the names a reader of *package* would take for public."""
    submodules = {
        name
        for name, value in vars(package).items()
        if isinstance(value, ModuleType) and value.__name__ == f"{package.__name__}.{name}"
    }
    hidden = submodules | {"TYPE_CHECKING", "annotations"}
    return {name for name in vars(package) if not name.startswith("_")} - hidden


def in_order(name):
    """Sort constants first, then classes, then functions, as the linter sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.fixture(params=PUBLIC)
def package(request):
    """Each package whose names others may rely on."""
    return importlib.import_module(request.param)


def test_every_promised_name_is_there(package):
    """Each name of `__all__` can be had."""
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_every_public_name_is_promised(package):
    """A name without an underscore that `__all__` does not list would be public by accident."""
    for name in package.__all__:
        getattr(package, name)  # a name loaded on demand is bound by asking for it
    assert public_names(package) - set(package.__all__) == set()


def test_the_promised_names_are_sorted(package):
    """A reader finds a name where the alphabet has it."""
    names = [name for name in package.__all__ if not name.startswith("__")]
    assert names == sorted(set(names), key=in_order)
