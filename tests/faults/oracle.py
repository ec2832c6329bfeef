"""
What the storage promises, one function for each promise, named as it is.

`check` looks at a site directory after a trial and holds it against the story of the trial.
"""

import errno
import itertools
import json
import traceback
from collections import Counter

from attrs import frozen

import telemetry_core
from tests.faults.driver import event_files
from tests.faults.story import Story

NEW_TYPE = "a new one"


@frozen
class Found:
    """What a site directory holds when it is opened again."""

    history: list
    current: dict
    active_run: object
    runs: dict
    torn_before: dict
    set_aside: list
    lines: dict


def check(trial, *, promises=None):
    """
    Open the site directory of *trial* and assert every promise; then that it goes on from there.

    Opened twice: what the first opening mended, the second one must find as the first one left it.
    """
    site, story = trial / "site", Story.read(trial / "story")
    torn = torn_tails(site)
    with open_again(site) as recorder:
        found = look(site, recorder, torn)
        for promise in PROMISES if promises is None else promises:
            promise(story, found)
        new = takes_a_new_event(story, found, recorder)
    opening_again_changes_nothing(site, found, new)
    return story, found


def open_again(site):
    """Open *site* as the worker did, with a clock that is far behind."""
    return telemetry_core.open(site, timezone="UTC", durability="os", clock=lambda: 10**18)


def look(site, recorder, torn):
    """Return what *recorder* says of *site*, and what its files say without it."""
    return Found(
        history=list(recorder.history()),
        current=dict(recorder.current()),
        active_run=recorder.active_run(),
        runs={run.run_id: run for run in recorder.runs()},
        torn_before=torn,
        set_aside=[one.read_bytes() for one in (site / ".telemetry" / "torn").glob("*")],
        lines={path: path.read_bytes() for path in event_files(site)},
    )


def torn_tails(site):
    """Return what stands behind the last line break of every file, where anything does."""
    tails = {path: path.read_bytes().rpartition(b"\n")[2] for path in event_files(site)}
    return {path: tail for path, tail in tails.items() if tail}


def errors_are_ours(story, _):
    """Whatever is refused is refused with an error of the tree, never with a bare one."""
    errors = [one.answer for one in story.asked if one.answer and one.answer["error"]]
    bare = [(error["error"], error["text"]) for error in errors if not error["is_ours"]]
    assert not bare, f"not ours: {bare}"


def acknowledged_is_read_once(story, found):
    """What was acknowledged is there, once, as it was acknowledged."""
    stored = {event.data["n"]: event for event in found.history}
    ephemeral = story.ephemeral()
    for n, told in story.acknowledged().items():
        if n in ephemeral:
            continue
        assert n in stored, f"event {n} (seq {told['seq']}) was acknowledged and is lost"
        event = stored[n]
        assert (event.seq, event.ts, event.run_id) == (told["seq"], told["ts"], told["run_id"])


def nothing_is_there_twice(_, found):
    """No event stands in the history more than once."""
    times = Counter(event.data["n"] for event in found.history)
    assert [n for n, count in times.items() if count > 1] == []


def what_is_there_was_asked_for(story, found):
    """Every event of the history is one that was asked for, and equals it."""
    wishes = story.wishes()
    for event in found.history:
        wish = wishes[event.data["n"]]
        assert event.data == {"n": wish["n"], "pad": "x" * wish["pad"]}
        assert (event.type, event.id) == (wish["type"], wish["id"])
        assert event.make_current is wish["make_current"]
        assert wish["store_permanently"], f"event {wish['n']} was not to be stored"


def refused_is_nowhere(story, found):
    """What was refused is not in the history and not in current."""
    refused = story.refused()
    assert refused & {event.data["n"] for event in found.history} == set()
    assert refused & {event.data["n"] for event in found.current.values()} == set()


def readers_saw_what_was_acknowledged(story, _):
    """Also before the end a reader saw all that had been acknowledged, and nothing refused."""
    refused, ephemeral = story.refused(), story.ephemeral()
    for look_ in [one for one in story.asked if one.what == "look" and one.is_kept]:
        before = [one for one in story.records() if one.is_kept and one.line < look_.line]
        kept = {event["n"] for one in before for event in one.answer["events"]} - ephemeral
        seen = set(look_.answer["history"])
        assert kept <= seen, f"events {kept - seen} were acknowledged and not seen"
        assert refused & seen == set()


def lines_are_whole(_, found):
    """Every file is NDJSON: nothing but whole lines, each of them a JSON object."""
    for path, text in found.lines.items():
        *lines, rest = text.split(b"\n")
        assert rest == b"", f"{path} ends in the middle of a line: {rest[-80:]!r}"
        for line in lines:
            assert isinstance(json.loads(line), dict), f"{path}: {line[:80]!r}"


def seq_rises_in_every_file(_, found):
    """In a file each seq is above the one before it."""
    for path, text in found.lines.items():
        seqs = [json.loads(line)["seq"] for line in text.splitlines()]
        assert _is_rising(seqs), f"{path}: {seqs}"
    assert _is_rising([event.seq for event in found.history])


def seq_is_never_given_again(story, _):
    """No seq was given to two events, and each caller saw them rise, also over a restart."""
    given = {}
    last = Counter()
    for one in story.records():
        for event in one.answer["events"] if one.is_kept else ():
            if event["is_duplicate"]:
                continue
            seq, n = event["seq"], event["n"]
            assert given.setdefault(seq, n) == n, f"seq {seq} was given to {given[seq]} and {n}"
            assert seq > last[one.thread], f"seq {seq} came after {last[one.thread]}"
            last[one.thread] = seq


def current_is_last_stored(story, found):
    """
    Current shows the last stored event of each type that asked for it.

    A later one that was not to be stored may stand before it: it may outlive the process.
    """
    wanted = {event.type: event for event in found.history if event.make_current}
    ephemeral = story.ephemeral()
    for type_, event in found.current.items():
        if event.data["n"] in ephemeral:
            assert type_ not in wanted or event.seq > wanted[type_].seq
            wanted[type_] = event
    assert {t: e.seq for t, e in found.current.items()} == {t: e.seq for t, e in wanted.items()}


def run_is_as_acknowledged(story, found):
    """The active run is the one acknowledged last, or what a call in flight would have made."""
    may_be = {None}
    for one in story.asked:
        if one.what not in {"start_run", "stop_run"} or one.is_refused:
            continue
        after = one.facts["run_id"] if one.what == "start_run" else None
        may_be = {after} if one.is_kept else may_be | {after}
        if one.is_kept:
            assert one.facts["run_id"] in found.runs
    active = None if found.active_run is None else found.active_run.run_id
    assert active in may_be, f"{active!r} is active; acknowledged: {may_be!r}"
    for run in found.runs.values():
        assert run.is_active == (run.run_id == active)
    counted = Counter(event.run_id for event in found.history)
    assert {id_: run.events for id_, run in found.runs.items()} == {
        id_: counted[id_] for id_ in found.runs
    }


def torn_tail_is_set_aside(_, found):
    """What stood behind the last line break is a line now, or kept in `.telemetry/torn`."""
    for path, tail in found.torn_before.items():
        is_mended = found.lines[path].endswith(tail + b"\n")
        assert is_mended or tail in found.set_aside, f"{path} ended in {tail[:80]!r}: it is gone"


def nothing_is_kept_after_a_failed_sync(story, _):
    """When a sync of lines has failed, that recorder acknowledges nothing more."""
    failed = None
    calls = [one for one in story.calls if one.call == "sync" and one.done < 0]
    calls = [one for one in calls if one.done != -errno.EINTR]  # nothing was tried yet
    for line, what, one in sorted(
        [(call.line, "call", call) for call in calls if call.is_on_events]
        + [(one.answer["line"], "answer", one) for one in story.asked if one.answer],
        key=lambda entry: entry[0],
    ):
        if what == "call":
            failed = line
        elif one.what == "open":
            failed = None
        elif failed is not None and one.line > failed and one.what != "look":
            is_fine = not one.is_kept or one.what == "close"
            assert is_fine, f"{one.what} was acknowledged after a failed sync"


def an_error_costs_one_call(story, _):
    """Once the calls of the system succeed again, so does every record: no restart is needed."""
    hits = [call for call in story.calls if call.is_hit]
    failed = [call for call in hits if call.done < 0]
    is_sync = any(call.call == "sync" and call.done != -errno.EINTR for call in failed)
    if not hits or is_sync or len(failed) > 1:
        return
    later = [one for one in story.records() if one.line > hits[-1].line]
    refused = [one.answer["text"] for one in later if one.is_refused]
    assert not refused, f"refused afterwards: {refused}"


def takes_a_new_event(story, found, recorder):
    """The storage takes a new event, under a seq above all that were given."""
    event = recorder.record(NEW_TYPE, {"n": 0})
    given = [told["seq"] for told in story.acknowledged().values()]
    assert event.seq > max([*given, *(one.seq for one in found.history)], default=0)
    assert list(recorder.history())[-1] == event
    return event


def opening_again_changes_nothing(site, found, new):
    """A second opening finds what the first one left."""
    with open_again(site) as recorder:
        assert list(recorder.history()) == [*found.history, new]
        stored = {t: e for t, e in found.current.items() if e.store_permanently}
        again = dict(recorder.current())
        assert {t: again.get(t) for t in stored} == stored
        assert recorder.active_run() is None or found.active_run is not None


PROMISES = (
    errors_are_ours,
    nothing_is_there_twice,
    acknowledged_is_read_once,
    what_is_there_was_asked_for,
    refused_is_nowhere,
    readers_saw_what_was_acknowledged,
    lines_are_whole,
    seq_rises_in_every_file,
    seq_is_never_given_again,
    current_is_last_stored,
    run_is_as_acknowledged,
    torn_tail_is_set_aside,
    nothing_is_kept_after_a_failed_sync,
    an_error_costs_one_call,
)


def broken_promise(error):
    """Return the name of the promise that *error* shows to be broken, and how, in one line."""
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    promise = names[names.index("check") + 1] if "check" in names[:-1] else names[-1]
    return f"{promise}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _is_rising(numbers):
    return all(one < other for one, other in itertools.pairwise(numbers))
