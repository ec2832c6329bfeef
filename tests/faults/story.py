"""The story of a trial: what was asked of a recorder, what it answered, and the calls it made."""

import json

from attrs import define, field, frozen

UNKNOWN = "OutcomeUnknownError"


@define
class Asked:
    """One call on a recorder; `answer` stays `None` when the process was killed before it came."""

    what: str
    thread: str
    facts: dict
    line: int
    answer: dict | None = None

    @property
    def is_kept(self):
        """Whether it was acknowledged."""
        return self.answer is not None and self.answer["error"] is None

    @property
    def is_refused(self):
        """Whether it was answered that nothing of it was kept."""
        return self.answer is not None and self.answer["error"] not in {None, UNKNOWN}

    @property
    def is_open(self):
        """Whether nobody can say: no answer came, or one that says just that."""
        return not self.is_kept and not self.is_refused


@frozen
class Call:
    """One call of the system on the site directory, as the shim noted it."""

    line: int
    call: str
    path: str
    size: int
    done: int
    is_hit: bool
    ns: int

    @property
    def is_on_events(self):
        """Whether it is a call on the file of a stream."""
        return self.path.endswith(".ndjson") and "/.telemetry/" not in self.path


@define
class Story:
    """Everything in its order; `line` in the parts of it says when."""

    asked: list[Asked] = field(factory=list)
    calls: list[Call] = field(factory=list)

    @classmethod
    def read(cls, path):
        """Read the file that the worker and the shim have written."""
        return cls.of(map(json.loads, path.read_bytes().split(b"\n")[:-1]))

    @classmethod
    def of(cls, facts):
        """Make a story of *facts* as the worker tells them."""
        story, by_number = cls(), {}
        for line, one in enumerate(facts):
            if "call" in one:
                story.calls.append(Call(line=line, **one))
            elif "ask" in one:
                asked = Asked(one.pop("what"), one.pop("thread"), one, line)
                by_number[one["ask"]] = asked
                story.asked.append(asked)
            else:
                by_number[one["answer"]].answer = {"line": line, **one}
        return story

    @property
    def is_hit(self):
        """Whether the fault came to pass."""
        return any(call.is_hit for call in self.calls)

    def records(self):
        """Return the calls that record events."""
        return [one for one in self.asked if one.what == "record"]

    def wishes(self):
        """Return the facts of every event that was asked for, by its number."""
        return {wish["n"]: wish for one in self.records() for wish in one.facts["events"]}

    def acknowledged(self):
        """Return what was answered for every event that was acknowledged first, by its number."""
        found = {}
        for one in self.records():
            for event in one.answer["events"] if one.is_kept else ():
                found.setdefault(event["n"], event)
        return found

    def refused(self):
        """Return the numbers of the events that were refused each time they were tried."""
        tried, kept = set(), set()
        for one in self.records():
            numbers = {wish["n"] for wish in one.facts["events"]}
            tried |= numbers
            if not one.is_refused:
                kept |= numbers
        return tried - kept

    def ephemeral(self):
        """Return the numbers of the events that were not to be stored."""
        return {n for n, wish in self.wishes().items() if not wish["store_permanently"]}
