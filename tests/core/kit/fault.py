"""Fault: a storage that is wrong in one way, and a promise that it breaks."""

import re

from attrs import frozen


@frozen
class Fault:
    """A wrong storage and the id of a promise that it breaks."""

    storage: type
    promise: str

    def __str__(self):
        wrong = re.sub(r"(?<=[A-Za-z])(?=[A-Z])", "_", self.storage.__name__).lower()
        return f"{wrong}-{self.promise}"


FAULTS = []
"""Every fault there is; the modules of `tests.core.kit.wrong` fill it."""


def breaks(*promises):
    """Sign up a storage that breaks each of *promises*."""

    def sign_up(storage):
        FAULTS.extend(Fault(storage, promise) for promise in promises)
        return storage

    return sign_up
