"""The Nth call of the system goes wrong, for every N, until there is no such call any more."""

import itertools
import signal

import pytest

from tests.faults import oracle
from tests.faults.driver import ALL_CALLS, IS_LONG, Fault, fresh

CALLS_OF = {
    "kill_before": ALL_CALLS,
    "kill_after": ALL_CALLS,
    "torn_kill": "write",
    "ENOSPC": "write open mkdir rename",
    "EDQUOT": "write open mkdir rename",
    "EIO": ALL_CALLS,
    "EINTR": "write open sync",
    "short": "write",
    "torn": "write",
    "dies": ALL_CALLS,
}
"""How a call may go wrong, and which calls do so: a write may be halved, a rename may not."""

FIRST_AND_STEP = {"kill_before": (0, 9), "torn_kill": (1, 3), "EIO": (4, 7), "dies": (2, 9)}
QUICK = [
    *((mode, "interval") for mode in CALLS_OF if mode not in {"kill_after", "EDQUOT"}),
    ("kill_after", "always"),
    ("EIO", "always"),
]
LONG = list(itertools.product(CALLS_OF, ["os", "interval", "always"]))


@pytest.mark.timeout(1800 if IS_LONG else 60)
@pytest.mark.parametrize(("mode", "durability"), LONG if IS_LONG else QUICK)
def test_promises_hold_when_a_call_goes_wrong(place, faulty_worker, mode, durability):
    """Whichever call it is, what was acknowledged is there and what was refused is not."""
    first, step = (0, 1) if IS_LONG else FIRST_AND_STEP.get(mode, (3, 5))
    broken, trials = [], 0
    for at in itertools.count(first, step):
        fault = Fault(mode, at, CALLS_OF[mode])
        trial = fresh(place / "trial")
        code = faulty_worker.do(trial, "scenario", fault=fault, durability=durability)
        hits = [call for call in oracle.Story.read(trial / "story").calls if call.is_hit]
        if not hits:
            break
        trials += 1
        assert code == (-signal.SIGKILL if "kill" in mode else 0)
        try:
            oracle.check(trial)
        except Exception as error:  # noqa: BLE001  # a storage that does not open is one more
            what = f"{hits[0].call} {hits[0].path.removeprefix(f'{trial}/')}"
            broken.append(f"{mode} at {at}, {what}: {oracle.broken_promise(error)}")
    assert trials
    assert not broken, "\n".join([f"{len(broken)} of {trials} trials:", *broken])
