"""`telemetry stop`: the service ends, and the command waits for it."""

import socket


def test_the_service_has_ended_when_it_returns(commands, telemetry):
    """The service ends with 0, and nothing answers on the port."""
    service = commands.serve()
    done = telemetry("stop", *service.at)

    assert (0, "") == (done.code, done.out)
    assert f"the service on port {service.port} stopped\n" == done.err
    assert 0 == service.running.process.wait(20)
    assert 4 == telemetry("stop", *service.at).code


def test_it_waits_for_a_service_that_is_slow_to_end(commands, telemetry):
    """An open request keeps it for a while; the directory is free when the command returns."""
    service = commands.serve()
    head = "POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as half_sent:
        half_sent.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert 0 == telemetry("record", "a", "1", *service.at).code
        done = telemetry("stop", *service.at)
        again = telemetry("record", "a", "2", "--storage", service.site_dir)

    assert (0, 0) == (done.code, again.code), again.err


def test_nobody_to_stop_is_told(telemetry):
    """With the code for a service that does not answer."""
    done = telemetry("stop", "--port", 1)

    assert (4, "") == (done.code, done.out)
    assert "no answer from http://localhost:1" in done.err


def test_a_storage_cannot_be_stopped(telemetry):
    """Only a service can."""
    assert 2 == telemetry("stop", "--storage", "memory:").code
