"""Machines to read: this one, and this one with something that differs."""

import psutil
import pytest


class Machine:
    """This machine, except for what a test gives: a function, or an error that is raised."""

    def __init__(self, **other):
        self._other = other

    def __getattr__(self, name):
        if name not in self._other:
            return getattr(psutil, name)
        other = self._other[name]
        if other is AttributeError:
            raise AttributeError(name)
        if callable(other):
            return other

        def fail(*_, **__):
            raise other

        return fail


@pytest.fixture
def machine():
    """Return what makes a machine."""
    return Machine
