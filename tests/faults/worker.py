"""
A process that uses a site directory and writes down, outside of it, what it was told.

It reads orders from its standard input, one JSON object a line, and does each in a fork of itself:
an order costs no start of Python, and what is killed is the fork. Its standard output says the pid
of the fork, then how it ended.

What was told goes to a story, one JSON object a line: what is asked before it is asked, the answer
after it came. The shim appends its journal to the same file, so that its order is what happened.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback

import telemetry_core
from telemetry_core import Draft, TelemetryError
from telemetry_core.clock import parse_ts

_LONGEST_S = 300
_EVENT = {
    "type": "weather",
    "id": None,
    "stream": None,
    "make_current": True,
    "store_permanently": True,
}


class Hands:
    """A clock that goes on by a millisecond each time it is looked at, and is set by hand."""

    def __init__(self, ts):
        self.set(ts)

    def __call__(self):
        """Return the nanoseconds since 1970."""
        self._now_ns += 1_000_000
        return self._now_ns

    def set(self, ts):
        """Show the instant *ts* from now on."""
        self._now_ns = parse_ts(ts)[1]


class Teller:
    """Asks a recorder, and tells the story of it. Any number of threads may use one."""

    def __init__(self, order):
        self.clock = Hands("2026-03-18T11:59:50Z")
        self._site = order["site"]
        self._options = {"timezone": "UTC", **order.get("options", {})}
        self._file = os.open(order["story"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._recorder = None
        self._lock = threading.Lock()
        self._asked = self._numbered = order["first"]

    def open(self, tries=2):
        """Open the site directory; one fault may refuse it once."""
        for _ in range(tries):
            if self._ask("open", self._open, options=self._options):
                return
        raise SystemExit

    def record(self, *, durable=False, again=None, **wishes):
        """Record one event; *again* are the facts of one that is tried once more."""
        facts = again or self._event(wishes)

        def call():
            options = {name: facts[name] for name in _EVENT if name != "type"}
            event = self._recorder.record(facts["type"], _data(facts), durable=durable, **options)
            return {"events": [_answer(event)]}

        self._ask("record", call, events=[facts], durable=durable)
        return facts

    def record_many(self, *wishes):
        """Record one batch."""
        facts = [self._event(one) for one in wishes]

        def call():
            drafts = [
                Draft(one["type"], _data(one), **{k: one[k] for k in _EVENT if k != "type"})
                for one in facts
            ]
            return {"events": [_answer(event) for event in self._recorder.record_many(drafts)]}

        self._ask("record", call, events=facts, durable=False)
        return facts

    def start_run(self, run_id):
        """Start or resume the run *run_id*."""
        self._ask("start_run", lambda: _run(self._recorder.start_run(run_id)), run_id=run_id)

    def stop_run(self, run_id):
        """Stop the run *run_id*, which may have failed to start."""
        self._ask("stop_run", lambda: _run(self._recorder.stop_run(run_id)), run_id=run_id)

    def flush(self):
        """Make everything safe."""
        return self._ask("flush", lambda: self._recorder.flush() or {})

    def check_writable(self):
        """Ask whether an event would be taken."""
        return self._ask("check_writable", lambda: self._recorder.storage.check_writable() or {})

    def look(self):
        """Tell what a reader sees now."""

        def call():
            current = {type_: one.data["n"] for type_, one in self._recorder.current().items()}
            return {"history": [one.data["n"] for one in self._recorder.history()], **current}

        self._ask("look", call)

    def close(self):
        """Close; the recorder is gone, whatever it answers."""
        self._ask("close", lambda: self._recorder.close() or {})

    def _open(self):
        self._recorder = telemetry_core.open(self._site, clock=self.clock, **self._options)
        return {}

    def _event(self, wishes):
        with self._lock:
            self._numbered += 1
            return {"n": self._numbered, **_EVENT, "pad": 0, **wishes}

    def _ask(self, what, call, **facts):
        with self._lock:
            self._asked += 1
            number = self._asked
        thread = threading.current_thread().name
        self._tell(ask=number, what=what, thread=thread, **facts)
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            self._tell(
                answer=number,
                error=type(error).__name__,
                text=str(error),
                is_ours=isinstance(error, TelemetryError),
            )
            return False
        self._tell(answer=number, error=None, **answer)
        return True

    def _tell(self, **facts):
        facts["ns"] = time.monotonic_ns()
        os.write(self._file, json.dumps(facts).encode() + b"\n")


def _data(facts):
    return {"n": facts["n"], "pad": "x" * facts["pad"]}


def _answer(event):
    return {
        "n": event.data["n"],
        "seq": event.seq,
        "ts": event.ts,
        "run_id": event.run_id,
        "is_duplicate": event.is_duplicate,
    }


def _run(run):
    return {"run_id": run.run_id, "started_at": run.started_at, "status": run.status}


def scenario(teller):
    """Do everything once that changes a file."""
    teller.open()
    teller.record()
    teller.record(type="safety", id="a")
    teller.record(type="status", store_permanently=False)
    teller.record_many({}, {"type": "power"}, {"type": "status", "store_permanently": False})
    teller.clock.set("2026-03-18T12:00:01Z")
    teller.record()
    teller.start_run("M42")
    teller.record()
    teller.record(stream="site")
    *_, named = teller.record_many(
        {}, {"stream": "site", "pad": 70_000}, {"pad": 70_000}, {"type": "safety", "id": "b"}
    )
    teller.record(durable=True)
    teller.record(type="late", make_current=False)
    teller.look()
    teller.stop_run("M42")
    teller.start_run("M42")
    teller.record()
    teller.close()
    teller.open()
    teller.record()
    teller.record(again=named)
    teller.flush()
    teller.clock.set("2026-03-19T12:00:01Z")
    teller.record(stream="site")
    teller.stop_run("M42")
    teller.record()
    teller.look()
    teller.close()


def failed_sync(teller):
    """Record until a sync has failed, go on in spite of it, and open again."""
    teller.open()
    teller.record()
    teller.flush()
    for _ in range(1000):
        if not teller.check_writable():
            break
        time.sleep(0.01)
    teller.record()
    teller.record_many({}, {})
    teller.start_run("M42")
    teller.check_writable()
    teller.close()
    teller.open()
    teller.check_writable()
    teller.record()
    teller.close()


def slowly(teller):
    """Record some hundred events a second until the end comes from outside."""
    teller.open()
    while True:
        teller.record()
        time.sleep(0.005)


def load(teller, threads=4):
    """Record from several threads at once, all kinds of events, until the process is killed."""
    teller.open()
    teller.start_run("M42")

    def work(number):
        while True:
            teller.record()
            teller.record(stream="site", type=f"thread {number}")
            teller.record(store_permanently=False, type="status")
            last = teller.record(id=f"{number}.{time.monotonic_ns()}")
            teller.record(again=last)
            teller.record_many({"pad": 3000}, {"stream": "site"}, {"make_current": False})

    for number in range(threads):
        threading.Thread(target=work, args=(number,), name=f"thread {number}").start()


def crowd(teller, threads=4, each=50):
    """Record from several threads at once and close."""
    teller.open()

    def work():
        for _ in range(each):
            teller.record()
            teller.record_many({}, {"type": "power"})

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    teller.close()


def wait_for_sync(teller):
    """Record one event and do nothing more."""
    teller.open()
    teller.record()
    signal.pause()


SCRIPTS = {one.__name__: one for one in (scenario, failed_sync, slowly, load, crowd, wait_for_sync)}


def _do(order):
    """Do *order* in this process, and end it."""
    code = 1
    try:
        # Should the tests die, nobody would end this process.
        signal.alarm(_LONGEST_S)
        if "fault" in order:
            os.environ.update(order["fault"])
            ctypes.CDLL(None).faults_arm()
        SCRIPTS[order["script"]](Teller(order))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        code = 0
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001  # nothing may get back into the loop of orders
        traceback.print_exc()
    finally:
        os._exit(code)


def _say(number):
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main():
    """Do every order."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _do(json.loads(line))
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
