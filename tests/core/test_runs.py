"""Runs: their names, their states, and how one goes on that was stopped before."""

import pytest

from telemetry_core import InvalidRunError, Run
from telemetry_core.runs import STATUSES, check_run_id, reason_of, resumed

AT = "2026-03-18T06:00:00.000Z"


def make(**fields):
    """Return a run that was just started."""
    return Run(**{"run_id": "001", "started_at": "2026-03-18T00:00:00.000Z", **fields})


def test_a_run_is_active_until_it_stops():
    """Then it says when, how and why."""
    run = make()
    stopped = run.stopped(AT, status="failed", reason="no power: é")
    assert (True, "active", None, None) == (run.is_active, run.status, run.stopped_at, run.reason)
    assert (False, "failed", AT, "no power: é") == (
        stopped.is_active,
        stopped.status,
        stopped.stopped_at,
        stopped.reason,
    )


@pytest.mark.parametrize("status", STATUSES[1:])
def test_a_run_stops_in_one_of_four_states(status):
    """The usual one is that it was completed."""
    assert status == make().stopped(AT, status=status).status
    assert "completed" == make().stopped(AT).status


@pytest.mark.parametrize("status", ["active", "done", "", None, 1, ["failed"]])
def test_another_state_is_refused(status):
    """The message names the four."""
    with pytest.raises(InvalidRunError) as caught:
        make().stopped(AT, status=status)
    wanted = f"$.status: {status!r} is not one of completed, failed, aborted, lost"
    assert wanted == str(caught.value)


@pytest.mark.parametrize("reason", [5, b"x", ["x"], "\ud800", "a\0b"])
def test_a_reason_that_cannot_be_kept_is_refused(reason):
    """It is text that every storage has room for, or none."""
    with pytest.raises(InvalidRunError, match=r"\$\.reason: "):
        make().stopped(AT, reason=reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no power: é"), "ValueError: no power: é"),
        (FileNotFoundError(2, "No such file", "caf\udce9"), None),
        (RuntimeError("\ud800 a\0b"), "RuntimeError: \\ud800 a\\x00b"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
)
def test_any_error_is_a_reason_that_can_be_kept(error, reason):
    """Also one about a file whose name is no UTF-8."""
    found = reason_of(error)
    assert found == make().stopped(AT, reason=found).reason
    assert found == (reason or found)


@pytest.mark.parametrize(
    "run_id", ["0", "001", "M42", "a", "a-b_c.d", "x" * 128, "site", "sites_1", "console", "com10"]
)
def test_a_run_id_is_plain(run_id):
    """Letters, digits, and three signs between them."""
    assert run_id == check_run_id(run_id)


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        " ",
        ".",
        "..",
        "-a",
        "_a",
        ".hidden",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "é",
        "x" * 129,
        "../x",
        "a\0",
        "\N{ARABIC-INDIC DIGIT ONE}",
        None,
        7,
        b"001",
        True,
    ],
)
def test_what_is_no_run_id_is_refused(run_id):
    """The message says what one is, and repeats no more than a line of what came."""
    with pytest.raises(InvalidRunError) as caught:
        check_run_id(run_id)
    (problem,) = caught.value.problems
    assert "$.run_id" == problem.path
    assert "is no run id: 1-128 of A-Z a-z 0-9 . _ - are" in problem.message
    assert len(problem.message) < 300


@pytest.mark.parametrize(
    "run_id", ["site_1", "SITE_20260318", "con", "NUL", "aux.txt", "com1", "LPT9", "prn.a.b", "a."]
)
def test_a_reserved_name_is_refused(run_id):
    """A site file, a device of Windows, a name that Windows would cut."""
    with pytest.raises(InvalidRunError, match=r"\$\.run_id: .* is reserved"):
        check_run_id(run_id)


def test_a_run_that_never_was_is_not_resumed():
    """It begins."""
    assert make() == resumed(None, make())


def test_a_resumed_run_goes_on():
    """First start and counts stay; it is active; the new meta lies over the old one."""
    before = make(
        stopped_at=AT,
        status="failed",
        reason="no power",
        meta={"a": 1, "b": {"x": 1}},
        directory="first",
        events=3,
        first_seq=1,
        last_seq=5,
    )
    again = resumed(before, make(started_at=AT, meta={"b": {"y": 2}, "c": 3}))

    assert again == make(
        meta={"a": 1, "b": {"y": 2}, "c": 3},
        directory="first",
        events=3,
        first_seq=1,
        last_seq=5,
    )
    assert "second" == resumed(before, make(directory="second")).directory
