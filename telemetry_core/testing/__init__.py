"""
The conformance kit: every promise of the storage contract as a test that a plugin inherits.

Needs the extra `testing`: `pip install 'telemetry_core[testing]'`.
"""

import pytest as _pytest  # noqa: PT013  # the name is not ours to give

# Before they are imported: so that a failing test of a plugin shows both sides of a comparison.
_pytest.register_assert_rewrite("telemetry_core.testing.promises", "telemetry_core.testing.samples")

from telemetry_core.testing.promise import PROMISES, Promise  # noqa: E402
from telemetry_core.testing.samples import make_draft, make_run  # noqa: E402
from telemetry_core.testing.state_machine import make_storage_machine  # noqa: E402
from telemetry_core.testing.storage_tests import StorageTests  # noqa: E402

__all__ = [
    "PROMISES",
    "Promise",
    "StorageTests",
    "make_draft",
    "make_run",
    "make_storage_machine",
]
