"""`telemetry stop`: the service ends, and the command waits for it."""


def test_the_service_has_ended_when_it_returns(commands, telemetry):
    """The service ends with 0, and nothing answers on the port."""
    service = commands.serve()
    done = telemetry("stop", *service.at)

    assert (0, "") == (done.code, done.out)
    assert f"the service on port {service.port} stopped\n" == done.err
    assert 0 == service.running.process.wait(20)
    assert 4 == telemetry("stop", *service.at).code


def test_nobody_to_stop_is_told(telemetry):
    """With the code for a service that does not answer."""
    done = telemetry("stop", "--port", 1)

    assert (4, "") == (done.code, done.out)
    assert "no answer from http://localhost:1" in done.err


def test_a_storage_cannot_be_stopped(telemetry):
    """Only a service can."""
    assert 2 == telemetry("stop", "--storage", "memory:").code
