"""What is durable before it is acknowledged, as the journal of the calls shows it."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.driver import NO_FAULT, event_files, places, wait_until
from tests.faults.story import Story


class Disk:
    """
    What would be there after a power cut, as the calls so far have left it.

    The name of the *site* directory itself stands in a directory whose calls are not seen.
    """

    def __init__(self, site):
        self._site = str(site)
        self._is_named = {}
        self._written = defaultdict(int)
        self._begun = {}
        self._safe = defaultdict(int)

    def take(self, call):
        """Take account of *call*."""
        path = call.path
        if call.done < 0:
            return
        if call.call == "write":
            self._written[path] += call.done
        elif call.call == "truncate":
            self._written[path] = min(self._written[path], call.size)
        elif call.call == "sync_begun":
            self._begun[path] = self._written[path]
        elif call.call == "sync":
            self._safe[path] = max(self._safe[path], self._begun.get(path, 0))
            for name in [name for name in self._is_named if str(Path(name).parent) == path]:
                self._is_named[name] = True
        elif call.call in {"create", "rename", "mkdir"} and path != self._site:
            self._is_named[path] = False
            if call.call == "rename":
                self._written[path] = self._safe[path] = 0

    def has(self, path, end):
        """Return whether *path* is safe up to *end*, and every name on the way to it."""
        way = [path, *map(str, Path(path).parents)]
        return self._safe[path] >= end and all(self._is_named.get(name, True) for name in way)


def _ends(site):
    """Return the file of every stored event and the offset behind its line, by its number."""
    ends = {}
    for path in event_files(site):
        offset = 0
        for line in path.read_bytes().splitlines(keepends=True):
            offset += len(line)
            ends[json.loads(line)["data"]["n"]] = (str(path), offset)
    return ends


def _unsafe(trial, *, is_meant=lambda _: True):
    """Return the acknowledged events that a power cut at that moment would have taken, and all."""
    site, path = places(trial)
    story, ends = Story.read(path), _ends(site)
    ephemeral, disk = story.ephemeral(), Disk(site)
    steps = [(call.line, call) for call in story.calls]
    steps += [(one.answer["line"], one) for one in story.records() if one.is_kept and is_meant(one)]
    unsafe, looked_at = [], 0
    for _, step in sorted(steps, key=lambda entry: entry[0]):
        if not hasattr(step, "what"):
            disk.take(step)
            continue
        for event in step.answer["events"]:
            if event["n"] not in ephemeral:
                looked_at += 1
                if not disk.has(*ends[event["n"]]):
                    unsafe.append(event["n"])
    return unsafe, looked_at


@pytest.mark.parametrize("script", ["scenario", "crowd"])
def test_always_is_durable_before_it_is_acknowledged(place, faulty_worker, script):
    """Each line, the name of its file and of its directory were synced before the answer."""
    assert 0 == faulty_worker.do(place, script, fault=NO_FAULT, durability="always")

    unsafe, looked_at = _unsafe(place)
    assert looked_at > 10
    assert unsafe == []


def test_the_journal_shows_what_is_not_durable(place, faulty_worker):
    """The control: with `os` no event is durable when it is acknowledged, but the one that asks."""
    assert 0 == faulty_worker.do(place, "scenario", fault=NO_FAULT, durability="os")

    unsafe, looked_at = _unsafe(place)
    assert looked_at - len(unsafe) in range(1, 4)


@pytest.mark.parametrize("durability", ["os", "interval"])
def test_one_event_can_ask_to_be_durable(place, faulty_worker, durability):
    """With `durable=True` it is durable before it is acknowledged, whatever the others are."""
    assert 0 == faulty_worker.do(place, "scenario", fault=NO_FAULT, durability=durability)

    unsafe, looked_at = _unsafe(place, is_meant=lambda one: one.facts["durable"])
    assert (1, []) == (looked_at, unsafe)


def test_a_crowd_shares_its_syncs(place, faulty_worker):
    """Many threads that wait for the disk at once wait for one sync together."""
    assert 0 == faulty_worker.do(place, "crowd", fault=NO_FAULT, durability="always")

    story = Story.read(places(place)[1])
    syncs = [one for one in story.calls if one.call == "sync" and one.is_on_events]
    assert len(syncs) < len(story.records())


def test_interval_syncs_by_itself(place, faulty_worker):
    """A line is synced soon after it was acknowledged, though nothing more is recorded."""
    pid = faulty_worker.begin(
        place, "wait_for_sync", fault=NO_FAULT, durability="interval", sync_interval_s=0.1
    )
    story = places(place)[1]

    def is_synced():
        calls = Story.read(story).calls if story.exists() else []
        return any(call.call == "sync" and call.is_on_events for call in calls)

    try:
        wait_until(is_synced)
    finally:
        faulty_worker.kill(pid)


def test_a_run_is_durable_before_it_is_acknowledged(place, faulty_worker):
    """Its directory and `run.json` outlive a power cut once `start_run` or `stop_run` returned."""
    assert 0 == faulty_worker.do(place, "scenario", fault=NO_FAULT, durability="interval")

    site, path = places(place)
    story, disk = Story.read(path), Disk(site)
    facts = str(site / "M42" / "run.json")
    steps = [(call.line, call) for call in story.calls]
    runs = [one for one in story.asked if one.what in {"start_run", "stop_run"}]
    for _, step in sorted(
        [*steps, *((one.answer["line"], one) for one in runs)], key=lambda s: s[0]
    ):
        if hasattr(step, "what"):
            assert disk.has(facts, 0), f"{step.what} was acknowledged before the name was safe"
        else:
            disk.take(step)
    synced = [call.path for call in story.calls if call.call == "sync"]
    assert synced.count(str(Path(facts).with_name(".run.json.new"))) == len(runs)
