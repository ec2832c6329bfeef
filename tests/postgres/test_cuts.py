"""A connection that is cut while an answer is on its way: nobody can say, and a retry can."""

import pytest

from telemetry_core import OutcomeUnknownError, Selection, StorageUnavailableError
from telemetry_core.clock import system_clock
from telemetry_core.testing import make_draft, make_run
from telemetry_postgres import PostgresSettings, PostgresStorage
from tests.postgres.proxy import Proxy


@pytest.fixture
def proxy(server):
    """A proxy in front of the server."""
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def storage(proxy, site):
    """A storage behind the proxy."""
    url = f"postgresql://telemetry@127.0.0.1:{proxy.port}/postgres"
    with PostgresStorage(PostgresSettings(url=url, site=site)) as storage:
        storage.append([make_draft(data=0)], system_clock())
        yield storage


APPEND = "SET last_seq"


def batch_of(count):
    """Return a new batch, the same each time."""
    return [make_draft(data=n, id=f"i{n}") for n in range(count)]


@pytest.mark.parametrize(("count", "sent"), [(1, APPEND), (10, APPEND), (300, "COMMIT")])
def test_an_answer_that_is_lost(proxy, storage, count, sent):
    """The batch was kept: nobody can say that, and the retry is answered with what was kept."""
    proxy.cut_answers(sent)
    with pytest.raises(OutcomeUnknownError, match="retry with the same ids"):
        storage.append(batch_of(count), system_clock())
    assert proxy.has_cut.is_set()
    again = storage.append(batch_of(count), system_clock())
    assert [event.is_duplicate for event in again] == [True] * count
    assert list(storage.read(Selection(after=1))) == again


@pytest.mark.parametrize(("count", "sent"), [(1, APPEND), (300, "COMMIT")])
def test_a_question_that_is_lost(proxy, storage, count, sent):
    """The batch was not kept: nobody can say that either, and the retry keeps it once."""
    proxy.cut_questions(sent)
    with pytest.raises(OutcomeUnknownError):
        storage.append(batch_of(count), system_clock())
    events = storage.append(batch_of(count), system_clock())
    assert [event.is_duplicate for event in events] == [False] * count
    assert list(storage.read(Selection(after=1))) == events


def test_a_connection_that_is_lost_before_the_commit(proxy, storage):
    """Then it is certain that nothing was kept."""
    proxy.cut_answers("COPY telemetry.event")
    with pytest.raises(StorageUnavailableError) as refused:
        storage.append(batch_of(300), system_clock())
    assert refused.value.retry_after_s
    assert len(list(storage.read())) == 1
    assert len(storage.append(batch_of(300), system_clock())) == 300


def test_a_read_goes_on_over_another_connection(proxy, storage):
    """A question changes nothing, so it is asked again by itself."""
    proxy.cut_answers("ORDER BY seq LIMIT")
    assert len(list(storage.read())) == 1
    assert proxy.has_cut.is_set()


def test_the_end_of_a_run_that_is_lost(proxy, storage):
    """The run was ended; whoever asks is told so."""
    run = storage.start_run(make_run())
    proxy.cut_answers("SET stopped_at")
    with pytest.raises(OutcomeUnknownError):
        storage.finish_run(run.stopped("2026-03-18T06:00:00.000Z"))
    assert storage.active_run() is None
