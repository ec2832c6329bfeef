"""One server for the tests of a file, and a new site in it for each test."""

import itertools

import pytest

from telemetry_postgres import PostgresSettings, PostgresStorage
from tests.ports import lasting_port
from tests.postgres.server import Server, find_bin

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bin_dir():
    """Where the programs of PostgreSQL are."""
    found = find_bin()
    if found is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt install postgresql")
    return found


@pytest.fixture(scope="session")
def server(bin_dir):
    """A server that nobody kills."""
    server = Server(bin_dir)
    try:
        yield server.make().start()
    finally:
        server.remove()


@pytest.fixture
def site():
    """The name of a new site."""
    return f"site {next(_numbers)}"


@pytest.fixture
def open_storage(server, site):
    """Open the same new site each time."""
    settings = PostgresSettings(url=server.url(), site=site)
    return lambda: PostgresStorage(settings)


@pytest.fixture
def database(server):
    """The name of a new database."""
    name = f"telemetry_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def unused_port():
    """A port that nobody listens to."""
    return lasting_port()
