"""A process beside others at one site: it says that it is there, waits, does its work, reports."""

import json
import sys
import threading

import telemetry_core
from telemetry_core import RunActiveError


def race(url, name):
    """Start a run in each of four threads at once, and tell which of them won, and who is told."""
    recorders = [telemetry_core.open(url) for _ in range(4)]
    together = threading.Barrier(len(recorders))
    answers = []

    def start(recorder, run_id):
        together.wait()
        try:
            answers.append(["won", recorder.start_run(run_id).run_id])
        except RunActiveError as error:
            answers.append(["lost to", error.run.run_id])

    threads = [
        threading.Thread(target=start, args=(recorder, f"{name}-{n}"))
        for n, recorder in enumerate(recorders)
    ]
    until_told()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.close()
    return answers


def write(url, name):
    """Append in four threads, each by its own connection, and tell which seqs were given."""
    recorders = [telemetry_core.open(url) for _ in range(4)]
    given = []

    def append(recorder, thread):
        given.extend(recorder.record(f"{name}.{thread}", n).seq for n in range(100))

    threads = [
        threading.Thread(target=append, args=(recorder, n)) for n, recorder in enumerate(recorders)
    ]
    until_told()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.close()
    return given


def until_told():
    """Say that this process is ready, and wait until it is told to begin."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"race": race, "write": write}[sys.argv[1]](*sys.argv[2:])) + "\n")
