"""A session that the caller gives sends the requests in place of the client's own connections."""

import contextlib
from types import SimpleNamespace

import httpx
import pytest

from telemetry_core import Draft, InvalidEventError
from telemetry_http import ServerUnreachableError, TelemetryClient, TelemetryClientError

EVENT = {"seq": 1, "ts": "2026-03-18T00:05:48.955Z", "type": "a", "data": {"x": 1}, "meta": {}}


class Session:
    """Notes what it was asked and answers what it was told."""

    def __init__(self, answer, status_code=200):
        self.asked = []
        self.is_closed = False
        self._answer = answer
        self._status_code = status_code

    def request(self, method, url, json=None, params=None, timeout=None):
        """Note the request and answer it."""
        self.asked.append((method, url, json, params, timeout))
        if isinstance(self._answer, Exception):
            raise self._answer
        return SimpleNamespace(
            status_code=self._status_code, text=repr(self._answer), json=lambda: self._answer
        )

    def close(self):
        """Note that somebody closed it."""
        self.is_closed = True


def test_an_event_is_handed_over_as_json_values():
    """What the session is given is what the service would read."""
    session = Session(EVENT)
    client = TelemetryClient(
        base_url="http://scope:1/", session=session, timeout=2, clock=lambda: 0
    )

    event = client.post_event("a", {"x": 1, "t": (1, 2)}, meta={"by": "me"})

    assert event == EVENT
    [(method, url, json, params, timeout)] = session.asked
    assert ("POST", "http://scope:1/event", None, 2) == (method, url, params, timeout)
    assert json == {
        "type": "a",
        "data": {"x": 1, "t": [1, 2]},
        "make_current": True,
        "store_permanently": True,
        "meta": {"by": "me"},
        "ts": "1970-01-01T00:00:00.000Z",
    }


def test_what_is_asked_for_reaches_the_body():
    """The optional fields stand in the body only when they are given."""
    session = Session(EVENT)

    TelemetryClient(session=session).post_event(
        "a",
        1,
        make_current=False,
        store_permanently=False,
        ts="2026-03-18T00:00:00Z",
        stream="site",
        id="x",
    )

    assert session.asked[0][2] == {
        "type": "a",
        "data": 1,
        "make_current": False,
        "store_permanently": False,
        "meta": {},
        "ts": "2026-03-18T00:00:00Z",
        "stream": "site",
        "id": "x",
    }


def test_a_token_is_handed_over_in_a_header(monkeypatch):
    """Given or from the environment; a session is given no headers where there is none."""
    session = Session({"ok": True})
    headers = []

    def request(*asked, headers_of=headers, **given):
        headers_of.append(given.pop("headers", None))
        return Session.request(session, *asked, **given)

    session.request = request
    TelemetryClient(session=session, token="s3cret").health()
    TelemetryClient(session=session).health()
    monkeypatch.setenv("TELEMETRY_TOKEN", "from outside")
    TelemetryClient(session=session).health()

    shown = [None if one is None else one["Authorization"] for one in headers]
    assert ["Bearer s3cret", None, "Bearer from outside"] == shown


def test_one_of_many_is_told_briefly():
    """What the service takes for what is left out need not be sent a thousand times."""
    session = Session({"accepted": 2, "duplicates": 0, "rejected": [], "rejected_total": 0})
    drafts = [Draft("a", 1, ts="2026-03-18T00:00:00.000Z"), Draft("b", 2, meta={"c": 3}, id="d")]
    client = TelemetryClient(session=session, clock=lambda: 0)
    with contextlib.suppress(TelemetryClientError):  # the answer is not what this is about
        client.post_events(drafts)

    assert session.asked[0][2] == [
        {"type": "a", "ts": "2026-03-18T00:00:00.000Z", "data": 1},
        {"type": "b", "ts": "1970-01-01T00:00:00.000Z", "id": "d", "data": 2, "meta": {"c": 3}},
    ]


def test_every_method_asks_its_route():
    """The wire contract, call by call."""
    session = Session({**EVENT, "current": {}, "runs": []})
    client = TelemetryClient(base_url="http://scope:1", session=session)

    client.health()
    client.ready()
    client.get_run()
    client.start_run("runs/m42", "m42", {"a": 1})
    client.stop_run()
    client.stop_run(reason="clouds")
    client.current()
    client.current_event("a/b ?")
    client.get_current("..")
    client.insert("a", 1)
    client.insert_current("a", 1, store_permanently=False)
    client.runs()
    client.run("m42")
    client.shutdown()

    assert [(method, url.removeprefix("http://scope:1")) for method, url, *_ in session.asked] == [
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/run"),
        ("POST", "/run/start"),
        ("POST", "/run/stop"),
        ("POST", "/run/stop"),
        ("GET", "/current"),
        ("GET", "/current/a%2Fb%20%3F"),
        ("GET", "/current/%2E%2E"),
        ("POST", "/event"),
        ("POST", "/event"),
        ("GET", "/v1/runs"),
        ("GET", "/v1/runs/m42"),
        ("POST", "/shutdown"),
    ]
    bodies = [json for _, _, json, *_ in session.asked]
    assert bodies[3] == {"run_dir": "runs/m42", "run_id": "m42", "meta": {"a": 1, "run_id": "m42"}}
    assert bodies[4:6] == [None, {"reason": "clouds"}]
    assert [body["make_current"] for body in bodies[9:11]] == [False, True]
    assert [body["store_permanently"] for body in bodies[9:11]] == [True, False]


def test_nothing_is_handed_over_that_is_not_json():
    """The session's own encoder never sees a value it does not know."""
    session = Session(EVENT)

    with pytest.raises(InvalidEventError):
        TelemetryClient(session=session).post_event("a", object())

    assert session.asked == []


def test_an_error_status_is_the_same_error():
    """Whoever sends the requests."""
    client = TelemetryClient(session=Session({"detail": "no such type"}, 404))

    with pytest.raises(TelemetryClientError) as caught:
        client.current_event("a")

    assert (404, "no such type") == (caught.value.status_code, caught.value.detail)
    assert client.get_current("a") is None


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "refused"),
        TimeoutError("slow"),
        OSError("as those of requests"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
)
def test_what_keeps_a_session_from_the_service_is_our_error(error):
    """The errors of requests are OSErrors, those of httpx are its own; both are asked once."""
    session = Session(error)

    with pytest.raises(ServerUnreachableError) as caught:
        TelemetryClient(session=session).health()

    assert caught.value.__cause__ is error
    assert len(session.asked) == 1


def test_a_fault_of_the_session_is_not_hidden():
    """Only what keeps it from the service is turned into our error."""
    with pytest.raises(ZeroDivisionError):
        TelemetryClient(session=Session(ZeroDivisionError())).health()


def test_a_session_belongs_to_whoever_made_it():
    """Closing the client does not close it."""
    session = Session({"ok": True})

    with TelemetryClient(session=session) as client:
        client.health()

    assert not session.is_closed


def test_a_client_of_httpx_is_a_session(server):
    """Any object with `request` will do, on a real socket as well."""
    with httpx.Client() as session:
        client = TelemetryClient(base_url=server.url, session=session)

        assert client.insert_current("a/b", [1]) == client.get_current("a/b")["_id"]
