"""The application is plain ASGI, and another server serves it as well."""

PROGRAM = """
import socket, sys
import uvicorn
from telemetry_http import TelemetryService, create_app

listening = socket.create_server(("127.0.0.1", 0))
with TelemetryService(sys.argv[1]) as service:
    server = uvicorn.Server(uvicorn.Config(create_app(service), log_level="error", lifespan="off"))
    service.on_shutdown(lambda: setattr(server, "should_exit", True))
    port = listening.getsockname()[1]
    print(f"listening on http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    server.run(sockets=[listening])
"""


def test_uvicorn_serves_it(run_program, tmp_path):
    """Events, refusals, the description, and the end."""
    service = run_program(PROGRAM, tmp_path / "site")
    event = {"type": "a/b", "data": {"sky": "clear"}}

    assert 1 == service.ask("POST", "/event", event).json["seq"]
    assert {"sky": "clear"} == service.ask("GET", "/current/a%2Fb").json["data"]
    assert 422 == service.ask("POST", "/event", {"type": ""}).status
    # Announced only: this server hangs up on who is still sending, and the answer may be lost.
    long = {"Content-Length": "2000000"}
    assert 413 == service.ask("POST", "/event", b"{", headers=long).status
    assert 421 == service.ask("GET", "/current", headers={"Host": "evil.example"}).status
    assert 200 == service.ask("GET", "/docs").status
    assert "telemetry_last_seq 1.0" in service.ask("GET", "/metrics").text
    assert 200 == service.ask("POST", "/shutdown").status
    assert 0 == service.process.wait(20), service.log
    (day,) = (tmp_path / "site").glob("*.ndjson")
    assert 1 == day.read_text().count("\n")
