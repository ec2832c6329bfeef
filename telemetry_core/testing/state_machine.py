"""Making the state machine, for which hypothesis is imported only when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.testing.promise import OpenStorage

if TYPE_CHECKING:
    from telemetry_core.testing.machine import StorageMachine


def make_storage_machine(
    open_storage: OpenStorage, *, max_examples: int = 25, steps: int = 20
) -> type[StorageMachine]:
    """
    Return a hypothesis state machine that compares a storage with the memory storage.

    It makes *max_examples* random sequences of at most *steps* calls, the same ones each time. All
    of them use the one place that *open_storage* opens, under names of their own.

        run_state_machine_as_test(make_storage_machine(open_storage, max_examples=1000))

    Raises:
        ImportError: hypothesis is not installed.
    """
    try:
        from hypothesis import HealthCheck, Phase, settings

        from telemetry_core.testing.machine import StorageMachine
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            "the state machine needs hypothesis: pip install 'telemetry_core[testing]'"
        ) from error

    class Machine(StorageMachine):
        open_storage_here = staticmethod(open_storage)

    Machine.TestCase.settings = settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        # Shrinking would go over one growing place hundreds of times before it says anything.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return Machine
