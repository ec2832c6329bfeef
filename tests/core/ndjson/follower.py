"""A second process: follows a site directory read-only, and says what it sees, a line an event."""

import json
import sys

import telemetry_core

LAST = "the last one"


def main(path, way):
    """Print seq, data and run of each event in *path* until the last one, as *way* says."""
    with telemetry_core.open(path, read_only=True, timezone="UTC") as recorder:
        say("open")
        for event in WAYS[way](recorder):
            say(json.dumps([event.seq, event.data, event.run_id]))
            if event.data == LAST:
                return


def say(text):
    """Write a line that is read at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def follow(recorder):
    """Yield what a follower gets."""
    return recorder.follow(after=0)


def wait(recorder):
    """Yield what `read` has after each `wait`."""
    seq = 0
    while True:
        recorder.storage.wait(seq, 30)
        for event in recorder.history(after=seq):
            yield event
            seq = event.seq


def read_all(recorder):
    """Read everything again and again; yield what is new, which must come behind what was known."""
    known = []
    while not known or known[-1].data != LAST:
        found = list(recorder.history())
        assert found[: len(known)] == known
        yield from found[len(known) :]
        known = found


WAYS = {one.__name__: one for one in (follow, wait, read_all)}

if __name__ == "__main__":
    main(*sys.argv[1:])
