"""The positive control of the campaign: each fault really comes to pass, and is seen."""

import errno
import signal

import pytest

from tests.faults import oracle
from tests.faults.driver import ALL_CALLS, NO_FAULT, Fault, event_files, places
from tests.faults.story import Story


def _story_of(trial, worker, fault, **options):
    code = worker.do(trial, "scenario", fault=fault, **options)
    return code, Story.read(places(trial)[1])


def test_without_a_fault_everything_is_acknowledged(place, faulty_worker):
    """The scenario itself is answered without an error, and every promise holds for it."""
    code, story = _story_of(place, faulty_worker, NO_FAULT)

    assert 0 == code
    assert [one for one in story.asked if not one.is_kept] == []
    oracle.check(place)


def test_the_journal_has_every_kind_of_call(place, faulty_worker):
    """The scenario writes, syncs, renames, makes directories and creates files, and all is seen."""
    _, story = _story_of(place, faulty_worker, NO_FAULT)

    wanted = {"write", "sync_begun", "sync", "rename", "mkdir", "create", "open"}
    assert wanted <= {call.call for call in story.calls}
    site = str(places(place)[0])
    assert {call.path[: len(site)] for call in story.calls} == {site}
    lines = [call for call in story.calls if call.is_on_events and call.call == "write"]
    stored = sum(path.stat().st_size for path in event_files(places(place)[0]))
    assert stored == sum(call.done for call in lines)


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EDQUOT"])
def test_an_error_refuses_the_event(place, faulty_worker, name):
    """The second line fails: its event is refused, and nothing of it was written."""
    code, story = _story_of(place, faulty_worker, Fault(name, 1, "write", "17.ndjson"))

    (hit,) = [call for call in story.calls if call.is_hit]
    assert (0, -getattr(errno, name)) == (code, hit.done)
    assert [one.is_refused for one in story.records()][:3] == [False, True, False]


@pytest.mark.parametrize("calls", ["write", "sync", "open", "rename", "mkdir", "truncate"])
def test_every_kind_of_call_can_fail(place, faulty_worker, calls):
    """The first call of that kind fails, and no other call."""
    _, story = _story_of(place, faulty_worker, Fault("EIO", 0, calls))

    assert [call.done for call in story.calls if call.is_hit] == [-errno.EIO]
    # Looking for a file that is not there is no error.
    failed = [call.done for call in story.calls if call.done < 0 and call.done != -errno.ENOENT]
    assert failed == [-errno.EIO]


def test_an_interrupted_call_is_made_again(place, faulty_worker):
    """Python repeats a call that a signal interrupted, so the event is kept."""
    _, story = _story_of(place, faulty_worker, Fault("EINTR", 1, "write", "17.ndjson"))

    (hit,) = [call for call in story.calls if call.is_hit]
    assert -errno.EINTR == hit.done
    assert [one for one in story.asked if not one.is_kept] == []


def test_a_short_write_writes_half(place, faulty_worker):
    """And the other half is written next."""
    _, story = _story_of(place, faulty_worker, Fault("short", 0, "write", "17.ndjson"))

    writes = [one for one in story.calls if one.call == "write" and one.is_on_events]
    first, second = writes[:2]
    assert (first.is_hit, second.is_hit) == (True, False)
    assert first.done in {second.done, second.done + 1}


def test_a_torn_write_writes_half_and_finds_no_room(place, faulty_worker):
    """The half is taken back, and the event is refused."""
    _, story = _story_of(place, faulty_worker, Fault("torn", 0, "write", "17.ndjson"))

    half, rest = [call for call in story.calls if call.is_hit]
    assert half.done > 0
    assert -errno.ENOSPC == rest.done
    assert story.records()[0].is_refused


@pytest.mark.parametrize("mode", ["kill_before", "kill_after", "torn_kill"])
def test_a_kill_ends_the_process_at_the_call(place, faulty_worker, mode):
    """Nothing, all or half of the line was written by then."""
    code, story = _story_of(place, faulty_worker, Fault(mode, 1, "write", "18.ndjson"))

    last = story.calls[-1]
    size = (places(place)[0] / "site_20260318.ndjson").stat().st_size
    first = next(c for c in story.calls if c.path.endswith("18.ndjson") and c.call == "write")
    assert (-signal.SIGKILL, True) == (code, last.is_hit)
    assert size == first.done + (0 if mode == "kill_before" else last.done)
    assert story.asked[-1].answer is None


def test_a_dead_disk_stays_dead(place, faulty_worker):
    """Every counted call after the first failing one fails too."""
    _, story = _story_of(place, faulty_worker, Fault("dies", 20, ALL_CALLS))

    counted = [call for call in story.calls if call.call != "sync_begun"]
    assert {call.done for call in counted[20:]} == {-errno.EIO}
    assert [call for call in counted[:20] if call.is_hit] == []
