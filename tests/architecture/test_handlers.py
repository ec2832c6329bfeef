"""Handlers wait for the storage where one that hangs harms nobody else."""

import pytest


def test_no_handler_waits_outside_of_the_workers(root):
    """`service.ask` and `service.change` are bounded in time and number; others are not."""
    routes = (root / "telemetry_http" / "routes").rglob("*.py")
    assert [path.name for path in routes if "to_thread" in path.read_text()] == []


@pytest.mark.parametrize("name", ["Authorization", "Guard"])
def test_the_application_has_its_guards(root, name):
    """Whatever else is changed in the onion."""
    assert f"Middleware({name}" in (root / "telemetry_http" / "app.py").read_text()
