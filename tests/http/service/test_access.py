"""Who may ask: everybody on this machine, until there are tokens."""

import signal
import socket
from pathlib import Path

import pytest

from telemetry_core import Draft
from telemetry_http import TelemetryClient, TelemetryClientError

READ, WRITE, ADMIN = (f"{name}-0123456789abcdef" for name in ("read", "write", "admin"))
EVENT = {"type": "weather", "data": 1}
READING = ["/current", "/current/weather", "/run", "/ready", "/v1/runs", "/metrics", "/docs"]
CHANGING = ["/event", "/run/start", "/run/stop"]


@pytest.fixture(scope="module")
def guarded(serve_in, tmp_path_factory, write_tokens):
    """A service with a token for each permission, and one of the environment."""
    directory = tmp_path_factory.mktemp("guarded")
    return serve_in(
        directory,
        *("--token-file", write_tokens(directory / "tokens"), "--access-log"),
        TELEMETRY_TOKEN="all-0123456789abcdef",
    )


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("token", [READ, WRITE, ADMIN, "all-0123456789abcdef"])
def test_every_token_may_read(guarded, path, token):
    """Each permission takes in those before it."""
    assert guarded.ask("GET", path, token=token).status in (200, 404)


@pytest.mark.parametrize("path", CHANGING)
def test_changing_needs_more_than_reading(guarded, path):
    """The answer says what would be enough, and nothing is changed."""
    answer = guarded.ask("POST", path, EVENT, token=READ)

    assert 403 == answer.status
    assert 'scope="write"' in answer.headers["www-authenticate"]
    assert {"current": {}} == guarded.ask("GET", "/current", token=READ).json


@pytest.mark.parametrize("token", [READ, WRITE])
def test_stopping_the_service_needs_admin(guarded, token):
    """Also from this machine, once there are tokens."""
    assert 403 == guarded.ask("POST", "/shutdown", token=token).status
    assert 200 == guarded.ask("GET", "/health").status


@pytest.mark.parametrize("path", [*READING, *CHANGING, "/shutdown", "/openapi.json", "/nothing"])
def test_without_a_token_nothing_is_answered(guarded, path):
    """Not even whether there is such a path."""
    answer = guarded.ask("POST" if path in (*CHANGING, "/shutdown") else "GET", path)

    assert 401 == answer.status
    assert "Bearer" == answer.headers["www-authenticate"]
    assert "application/problem+json" == answer.headers["content-type"]


@pytest.mark.parametrize(
    "value",
    [
        *("", "Bearer", "Bearer ", f"Basic {ADMIN}", ADMIN),
        *(f"Bearer {ADMIN}x", f"Bearer {ADMIN[:-1]}"),
        *(f"Bearer {ADMIN.upper()}", f"Bearer {ADMIN} {READ}", f"Bearer  {ADMIN}, Bearer {ADMIN}"),
        *("Bearer \xff\xfe", f"Bearer {'x' * 8000}", f"Token {ADMIN}", "Bearer null"),
    ],
)
def test_a_wrong_token_is_answered_like_none(guarded, value):
    """The answer tells nothing to who guesses."""
    answer = guarded.ask("GET", "/current", headers={"Authorization": value})
    none = guarded.ask("GET", "/current")

    assert (401, none.text) == (answer.status, answer.text)


def test_a_token_in_an_address_is_none(guarded):
    """Addresses are written into logs and histories."""
    for query in (f"token={READ}", f"access_token={READ}", f"Authorization=Bearer+{READ}"):
        assert 401 == guarded.ask("GET", f"/current?{query}").status


def test_the_scheme_is_read_in_any_case(guarded):
    """RFC 9110, section 11.1."""
    headers = {"Authorization": f"bEARER {READ}"}
    assert 200 == guarded.ask("GET", "/current", headers=headers).status


def test_two_tokens_are_none(guarded):
    """Somebody in between would take the other one."""
    connection = guarded.connection()
    connection.putrequest("GET", "/current")
    for token in (READ, WRITE):
        connection.putheader("Authorization", f"Bearer {token}")
    connection.endheaders()
    assert 401 == connection.getresponse().status
    connection.close()


def test_health_is_for_everybody(guarded):
    """A supervisor needs no token, and a wrong one does no harm."""
    assert 200 == guarded.ask("GET", "/health").status
    assert 200 == guarded.ask("GET", "/health", token="wrong").status


def test_a_token_is_shown_nowhere(guarded):
    """Neither in an answer, nor in the log of requests, nor to who lists the processes."""
    tokens = (READ, WRITE, ADMIN, "all-0123456789abcdef")
    shown = [guarded.ask("GET", f"/ready?token={token}", token=token).text for token in tokens]
    shown += [guarded.ask("GET", "/metrics", token=ADMIN).text]
    shown += [guarded.ask("GET", "/current", headers={"Authorization": tokens[0]}).text]
    shown += [Path(f"/proc/{guarded.process.pid}/cmdline").read_text(), guarded.log]

    assert "GET /ready 200" in guarded.log
    assert not any(token in text for text in shown for token in tokens)


def test_the_client_shows_its_token(guarded):
    """The one it was given."""
    with TelemetryClient(port=guarded.port, host="127.0.0.1", token=WRITE) as client:
        assert 1 == client.post_event("safety", 1, store_permanently=False, make_current=False).seq
        assert [] == list(client.history())
        assert 1 == client.post_events([Draft("x", 1, ts="never")]).rejected_total
    wrong = TelemetryClient(port=guarded.port, host="127.0.0.1", token="wrong")
    with wrong as client, pytest.raises(TelemetryClientError, match="401"):
        client.current()


def test_the_client_finds_its_token_in_the_environment(guarded, monkeypatch):
    """The variable is the same for both ends; `token` goes before it."""
    monkeypatch.setenv("TELEMETRY_TOKEN", READ)
    with TelemetryClient(port=guarded.port, host="127.0.0.1") as client:
        assert {} == client.current()
        with pytest.raises(TelemetryClientError, match="403"):
            client.post_event("weather", 1)


def test_admin_may_stop_the_service(serve):
    """It ends with 0."""
    service = serve(TELEMETRY_TOKEN=ADMIN)
    assert 200 == service.ask("POST", "/shutdown", token=ADMIN).status
    assert 0 == service.process.wait(10)


def test_without_tokens_this_machine_may_do_all(serve):
    """As before there were any."""
    service = serve()
    assert 200 == service.ask("POST", "/event", EVENT).status
    assert 200 == service.ask("GET", "/current").status
    assert 200 == service.ask("POST", "/shutdown").status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_are_not_served_without_a_token(serve, host):
    """The message says how to give one, and nothing was written."""
    with pytest.raises(AssertionError, match="TELEMETRY_TOKEN") as raised:
        serve("--host", host)
    assert "--token-file" in str(raised.value)


def test_with_a_token_any_address_is_served(serve):
    """By its number, by the names of the machine, and by no other name."""
    service = serve("--host", "0.0.0.0", "--allow-host", "Obs.Example.", TELEMETRY_TOKEN=ADMIN)

    for host, status in {
        **dict.fromkeys(["192.0.2.7:99", "[2001:db8::1]", "localhost", socket.gethostname()], 200),
        **dict.fromkeys(["obs.example", "OBS.EXAMPLE.:1"], 200),
        **dict.fromkeys(["evil.example", "obs.example.evil", "192.0.2.7.evil"], 421),
    }.items():
        answer = service.ask("GET", "/current", token=ADMIN, headers={"Host": host})
        assert (host, status) == (host, answer.status)
    assert 401 == service.ask("POST", "/shutdown").status
    assert "travel readable" in service.log


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--token-file", "missing"], "cannot read 'missing'"),
        (["--certificate", "a"], "go together"),
        (["--certificate", "missing", "--key", "missing"], "cannot use the certificate"),
        (["--unix", "a", "--host", "localhost"], "--unix goes without"),
        (["--allow-host", "a b"], "--allow-host takes"),
        (["--cors-origin", "*"], "--cors-origin takes"),
        (["--cors-origin", "https://a/"], "--cors-origin takes"),
    ],
)
def test_wrong_options_are_said_before_anything_is_written(serve, tmp_path, options, message):
    """The exit code is that of a wrong use."""
    with pytest.raises(AssertionError) as raised:
        serve(*options)
    assert message in str(raised.value)
    assert not (tmp_path / "site").exists()


def test_a_token_file_that_others_can_read_is_refused(serve, tmp_path):
    """Before anything is served."""
    path = tmp_path / "tokens"
    path.write_text(f"admin {ADMIN}\n")
    path.chmod(0o644)
    with pytest.raises(AssertionError, match="chmod 600") as raised:
        serve("--token-file", path)
    assert ADMIN not in str(raised.value).replace(str(path), "")


def test_it_ends_in_time_with_tokens_too(guarded):
    """At last, because it is the service of all tests above."""
    assert 0 == guarded.end(signal.SIGINT)
