"""The service is where it was told to be, and no connection takes the place of another's files."""

import contextlib
import os
import socket
import ssl
import stat
import subprocess

import pytest

from telemetry_http import AddressInUseError
from telemetry_http.listening import bind, bind_unix

EVENT = {"type": "weather", "data": 1}


def inode(path):
    """Return which file *path* is."""
    return path.stat().st_ino


def test_a_unix_socket_is_served(serve, tmp_path):
    """For the user and the group, and for as long as the service runs."""
    path = tmp_path / "telemetry.sock"
    service = serve("--unix", path)

    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    assert 200 == service.ask("POST", "/event", EVENT).status
    assert 200 == service.ask("POST", "/shutdown").status
    assert 0 == service.process.wait(10)
    assert ["site"] == [each.name for each in tmp_path.iterdir() if "stderr" not in each.name]


def test_a_stale_unix_socket_is_replaced(serve, tmp_path):
    """What a killed service left."""
    path = tmp_path / "telemetry.sock"
    first = serve("--unix", path)
    first.process.kill()
    first.process.wait()
    assert path.is_socket()

    assert 200 == serve("--unix", path).ask("GET", "/health").status


def test_a_live_unix_socket_is_refused(serve, tmp_path):
    """And goes on."""
    path = tmp_path / "telemetry.sock"
    service = serve("--unix", path)
    with pytest.raises(AssertionError, match="is in use"):
        serve("--unix", path)
    assert 200 == service.ask("GET", "/health").status


def test_what_is_no_socket_is_left_alone(tmp_path):
    """A slip of the finger must not cost a file."""
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(AddressInUseError, match="notes"), bind_unix(path):
        pass
    assert "mine" == path.read_text()


def test_the_socket_of_a_successor_is_not_removed(tmp_path):
    """Whoever took the path over has it."""
    path = tmp_path / "socket"
    with bind_unix(path):
        path.unlink()
        with bind_unix(path):
            theirs = inode(path)
            with contextlib.suppress(AddressInUseError), bind_unix(path):
                pass
            assert theirs == inode(path)


def test_one_connection_too_many_is_closed_at_once():
    """The others stay, and one that ends makes room."""
    with bind("127.0.0.1", 0) as listening, contextlib.ExitStack() as stack:
        listening.max_connections = 2
        address = listening.getsockname()
        clients = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(3)]
        accepted = [listening.accept()[0] for _ in range(2)]
        with pytest.raises(ConnectionAbortedError):
            listening.accept()
        assert b"" == clients[2].recv(1)

        accepted[0].close()
        accepted[0].close()
        stack.enter_context(socket.create_connection(address))
        accepted.append(listening.accept()[0])
        with pytest.raises(BlockingIOError):
            listening.accept()
        for one in accepted:
            one.close()


@pytest.fixture
def certificate(tmp_path):
    """A certificate for `localhost` that vouches for itself, and its key."""
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            [*command.split(), *names, "-out", files[0], "-keyout", files[1]],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    return files


def test_https_is_served_with_a_certificate(serve, certificate):
    """A client that trusts the certificate is answered, and plain HTTP is not."""
    service = serve("--certificate", certificate[0], "--key", certificate[1])
    assert "https://localhost:" in service.log
    service.tls = ssl.create_default_context(cafile=os.fspath(certificate[0]))

    assert 200 == service.ask("POST", "/event", EVENT).status
    assert (
        403 == service.ask("POST", "/event", EVENT, headers={"Origin": "http://localhost"}).status
    )
    ours = {"Origin": f"https://localhost:{service.port}"}
    assert 200 == service.ask("POST", "/event", EVENT, headers=ours).status
    service.tls = None
    with pytest.raises((OSError, ValueError, EOFError)):
        service.ask("GET", "/health")
    assert 0 == service.end()


def test_https_before_a_key_of_another_certificate_is_refused(serve, certificate, tmp_path):
    """Before anything is served."""
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genrsa", "-out", other, "2048"], check=True, capture_output=True)
    with pytest.raises(AssertionError, match="cannot use the certificate"):
        serve("--certificate", certificate[0], "--key", other)
