"""What is particular to PostgreSQL: sites, tables, exact text, days, rights and views."""

import datetime as dt
import itertools
import json
import pickle

import psycopg
import pytest
from attrs import evolve

import telemetry_core
from telemetry_core import (
    Selection,
    SettingsError,
    StorageClosedError,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnsupportedError,
)
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing import make_draft, make_run
from telemetry_core.testing.calls import Call
from telemetry_postgres import PostgresSettings, PostgresStorage
from telemetry_postgres.schema import migrations, script

PATIENCE_S = 40


def append(storage, *drafts):
    """Append *drafts* as one batch."""
    return storage.append(drafts, telemetry_core.system_clock())


def data_of(storage, **selection):
    """Return the data of what is read."""
    return [event.data for event in storage.read(Selection(**selection))]


def test_it_is_opened_by_its_url(server, site):
    """The query says which site, and nobody has to name the plugin."""
    url = f"{server.url()}?site={site.replace(' ', '%20')}"
    with telemetry_core.open(url) as recorder:
        recorder.record("weather", {"sky": "clear"})
    with telemetry_core.open(url, read_only=True) as recorder:
        assert recorder.current()["weather"].data == {"sky": "clear"}


def test_sites_share_a_database_and_nothing_else(server, site):
    """Each has its own seqs, current values, ids and runs."""
    settings = PostgresSettings(url=server.url(), site=site)
    with PostgresStorage(settings) as one, PostgresStorage(evolve(settings, site=site * 2)) as two:
        for storage, data in ((one, 1), (two, 2)):
            storage.start_run(make_run())
            (event,) = append(storage, make_draft(data=data, id="a", run_id="001"))
            assert (event.seq, event.is_duplicate) == (1, False)
        assert (data_of(one), data_of(two)) == ([1], [2])
        assert two.current()["weather"].data == 2


@pytest.mark.parametrize(
    "text",
    [b'{"b":1,"a":{"d":-0.0,"c":[1e16,1.0,1e300,5e-324]}}', b'{"b":1e2,"a":""}', b"-0.0"],
    ids=["object", "order", "zero"],
)
def test_data_is_kept_to_the_letter(open_storage, text):
    """JSONB would sort the keys, forget the sign of zero and make integers of some floats."""
    (draft,) = (make_draft(data=json.loads(text)),)
    assert json.loads(draft.data_json) == json.loads(text)
    with open_storage() as storage:
        (event,) = append(storage, draft)
        (found,) = storage.read()
        assert found.data_json == event.data_json == draft.data_json
        assert storage.current()["weather"].data_json == draft.data_json


def test_large_batches_go_the_quick_way_with_everything(open_storage):
    """COPY keeps ids, current values, counts of the run, and what is ephemeral."""
    with open_storage() as storage:
        storage.start_run(make_run())
        batch = [
            make_draft(f"t{n % 3}", n, id=f"i{n}", run_id="001" if n % 2 else None)
            for n in range(1000)
        ]
        ephemeral = make_draft("dome", "open", store_permanently=False)
        events = append(storage, *batch, ephemeral)
        assert list(storage.read()) == events[:-1]
        run = storage.active_run()
        assert (run.events, run.first_seq, run.last_seq) == (500, 2, 1000)
        assert {type_: one.seq for type_, one in storage.current().items()} == {
            "t1": 998,
            "t2": 999,
            "t0": 1000,
            "dome": 1001,
        }
        again = append(storage, *batch[:500], make_draft(data="new"), *batch[500:])
        assert [one.is_duplicate for one in again] == [True] * 500 + [False] + [True] * 500
        assert again[500].seq == 1002
        assert len(list(storage.read())) == 1001


def test_a_retry_of_an_ephemeral_event_is_the_event_stored(open_storage):
    """Also an ephemeral draft of a known id takes no seq."""
    with open_storage() as storage:
        (event,) = append(storage, make_draft(data=1, id="a"))
        (again,) = append(storage, make_draft(data=1, id="a", store_permanently=False))
        assert (again.seq, again.is_duplicate) == (event.seq, True)


def test_tables_are_made_once_by_all_who_come_at_once(server, database):
    """Eight processes that start at once leave one set of tables of the newest version."""
    settings = PostgresSettings(url=server.url(database))
    calls = [Call(lambda: PostgresStorage(settings).close()) for _ in range(8)]
    for call in calls:
        call.result(PATIENCE_S)
    versions = server.execute(
        "SELECT version FROM telemetry.schema_version ORDER BY version", database=database
    )
    assert versions == [(one.version,) for one in migrations()]


def test_tables_of_an_older_version_are_brought_up(server, database):
    """What they hold stays."""
    first, *_ = migrations()
    begin = script("telemetry").partition(first.text.splitlines()[0])[0]
    server.execute(
        begin + first.script.replace("{schema}", "telemetry"),
        "INSERT INTO telemetry.site (name, last_seq) VALUES ('default', 41)",
        database=database,
    )
    settings = PostgresSettings(url=server.url(database))
    with pytest.raises(StorageUnavailableError, match="version 1, not yet 2"):
        PostgresStorage(evolve(settings, read_only=True))
    with PostgresStorage(settings) as storage:
        assert append(storage, make_draft())[0].seq == 42


def test_tables_of_a_newer_version_are_left_alone(server, database):
    """An old program does not guess."""
    settings = PostgresSettings(url=server.url(database))
    PostgresStorage(settings).close()
    server.execute("INSERT INTO telemetry.schema_version VALUES (99)", database=database)
    with pytest.raises(StorageUnavailableError, match=r"version 99.*upgrade telemetry_postgres"):
        PostgresStorage(settings)


def test_a_role_without_rights_is_told_what_to_run(server, database):
    """The owner runs what the command prints, and then the role can record."""
    server.execute("CREATE ROLE recorder LOGIN", database=database)
    try:
        settings = PostgresSettings(url=server.url(database), user="recorder")
        with pytest.raises(StorageUnavailableError, match="telemetry postgresql schema --schema"):
            PostgresStorage(settings)
        server.execute(
            script("telemetry"),
            "GRANT USAGE ON SCHEMA telemetry TO recorder",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA telemetry TO recorder",
            database=database,
        )
        with PostgresStorage(settings) as storage:
            append(storage, make_draft(data=1))
            assert data_of(storage) == [1]
    finally:
        server.execute("DROP OWNED BY recorder", "DROP ROLE recorder", database=database)


def test_a_database_of_another_encoding_is_refused(server, database):
    """It could not keep every text."""
    server.execute(f"CREATE DATABASE {database}_l1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StorageUnavailableError, match="encoding LATIN1; make one in UTF8"):
        PostgresStorage(PostgresSettings(url=server.url(f"{database}_l1")))


def test_read_only_changes_nothing(server, site, open_storage):
    """Neither the site nor an event is added."""
    settings = PostgresSettings(url=server.url(), site=site, read_only=True)
    with pytest.raises(StorageUnavailableError, match="it has no site"):
        PostgresStorage(settings)
    with open_storage() as writer, PostgresStorage(settings) as storage:
        append(writer, make_draft(data=1))
        assert data_of(storage) == [1]
        calls = [
            lambda: append(storage, make_draft()),
            lambda: storage.start_run(make_run()),
            lambda: storage.replicate([]),
            storage.check_writable,
        ]
        for call in calls:
            with pytest.raises(StorageReadOnlyError):
                call()


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("postgresql://db/lab?schema=Bad-Name", "schema"),
        ("postgresql://db/lab?keep_days=0", "keep_days"),
        ("postgresql://db/lab?siet=x", "siet"),
        ("postgresql://ada:secret@[db/lab", "postgresql://user@host"),
    ],
)
def test_a_wrong_setting_is_named(url, names):
    """Without the password that may stand in the URL."""
    with pytest.raises(SettingsError) as refused:
        telemetry_core.open(url)
    assert names in str(refused.value)
    assert "secret" not in str(refused.value)


def test_no_message_shows_a_password(unused_port):
    """What is said of a server that does not answer can be read by anybody."""
    url = f"postgresql://ada:secret@127.0.0.1:{unused_port}/lab"
    settings = PostgresSettings(url=url)
    with pytest.raises(StorageUnavailableError) as refused:
        PostgresStorage(settings)
    assert refused.value.retry_after_s
    assert "127.0.0.1/lab?site=default" in str(refused.value)
    assert "secret" not in str(refused.value) + repr(settings)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def record_on(server, site, day):
    """Let *site* record from now on as if it was *day*."""
    following = day + dt.timedelta(days=1)
    server.execute(
        f"CREATE TABLE IF NOT EXISTS telemetry.event_{day:%Y%m%d} PARTITION OF telemetry.event"
        f" FOR VALUES FROM ('{day}') TO ('{following}')",
        "INSERT INTO telemetry.closed_day (site_id, last_seq, day)"
        f" SELECT site_id, last_seq, day FROM telemetry.site"
        f" WHERE name = '{site}' AND last_seq > 0",
        f"UPDATE telemetry.site SET day = '{day}' WHERE name = '{site}'",
    )


def partitions(server):
    """Return the names of the partitions."""
    rows = server.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'telemetry.event'::regclass"
    )
    return {name.removeprefix("telemetry.") for (name,) in rows}


def test_partitions_are_made_ahead(server, open_storage):
    """Of today and the next seven days; what is recorded lies in that of today."""
    with open_storage() as storage:
        append(storage, make_draft())
    today = server.execute("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0]
    ahead = {f"event_{today + dt.timedelta(days=n):%Y%m%d}" for n in range(8)}
    assert ahead <= partitions(server)
    rows = server.execute("SELECT count(*) FROM telemetry.event_default")
    assert rows == [(0,)]


def test_a_reader_goes_over_the_days(server, site, open_storage):
    """One that comes from any cursor misses nothing of any day."""
    with open_storage() as storage:
        for n in range(3):
            record_on(server, site, dt.date(2020, 1, 1 + n))
            append(storage, make_draft(data=n))
    with open_storage() as storage:
        # What opening it found was a new day.
        append(storage, make_draft(data=3), make_draft(data=4))
        for after in range(6):
            assert data_of(storage, after=after) == list(range(after, 5))
        assert data_of(storage, last=3) == [2, 3, 4]
    days = f"SELECT day::text FROM telemetry.events WHERE site = '{site}' ORDER BY seq"
    found = [day for (day,) in server.execute(days)]
    assert found[:3] == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert found[3:] == [str(server.execute("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0])] * 2


def test_old_days_are_removed(server, site):
    """With their ids; the seq tells followers, and what is current stays."""
    settings = PostgresSettings(url=server.url(), site=site, schema="retention")
    with PostgresStorage(settings) as storage:
        append(storage, make_draft("dome", 1, id="a"), make_draft("sun", 2))
    server.execute(
        "CREATE TABLE retention.event_20200101 PARTITION OF retention.event"
        " FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')",
        "UPDATE retention.event SET day = '2020-01-01'",
        "UPDATE retention.event_id SET day = '2020-01-01'",
        "UPDATE retention.site SET day = '2020-01-01'",
    )
    with PostgresStorage(settings) as storage:
        append(storage, make_draft("sun", 3))
        assert storage.removed_through() == 0
    with PostgresStorage(evolve(settings, keep_days=30)) as storage:
        assert data_of(storage) == [3]
        assert storage.removed_through() == 2
        assert {one.type: one.data for one in storage.current().values()} == {"dome": 1, "sun": 3}
        (event,) = append(storage, make_draft("dome", 1, id="a"))
        assert (event.seq, event.is_duplicate) == (4, False)
    assert server.execute("SELECT to_regclass('retention.event_20200101')") == [(None,)]


def test_the_views_are_for_people(server, site, open_storage):
    """Sites by name, times as times, data as JSONB."""
    with open_storage() as storage:
        storage.start_run(make_run("M42"))
        append(
            storage,
            make_draft("weather", {"wind": {"mps": 2.5}, "sky": "clear"}, run_id="M42"),
            make_draft("weather", {"wind": {"mps": 3}, "ok": True}, ts="1999-12-31T23:59:59.9Z"),
        )
        assert storage.make_view("weather", "weather_of_test") == "telemetry.weather_of_test"
        append(storage, make_draft("weather", {"wind": {"mps": "broken"}, "ok": 1}))
        again = "weather_of_test"
        assert storage.make_view("weather", again) == f"telemetry.{again}"
        with pytest.raises(UnsupportedError, match="of which it has no event"):
            storage.make_view("nothing")
        with pytest.raises(UnsupportedError, match="give another name"):
            storage.make_view("events")
    mine = f"WHERE site = '{site}' ORDER BY seq"
    rows = server.execute(f"SELECT run_id, data -> 'wind', ts FROM telemetry.events {mine}")
    noon = dt.datetime(1999, 12, 31, 23, 59, 59, 900_000, tzinfo=dt.UTC)
    assert [row[:2] for row in rows] == [
        ("M42", {"mps": 2.5}),
        (None, {"mps": 3}),
        (None, {"mps": "broken"}),
    ]
    assert rows[1][2] == noon
    flat = f'SELECT "wind.mps", sky, ok FROM telemetry.weather_of_test {mine}'
    assert server.execute(flat) == [
        (2.5, "clear", None),
        (3, None, True),
        ("broken", None, 1),
    ]
    assert server.execute(f"SELECT type, seq FROM telemetry.current {mine}") == [("weather", 3)]
    runs = f"SELECT run_id, status, events FROM telemetry.runs WHERE site = '{site}'"
    assert server.execute(runs) == [("M42", "active", 1)]


def test_a_field_that_changes_its_kind_breaks_no_query(server, site, open_storage):
    """A later event of another kind is null in the view's column."""
    with open_storage() as storage:
        append(storage, make_draft("probe", {"deg": 1.5}))
        storage.make_view("probe")
        append(storage, make_draft("probe", {"deg": "off"}), make_draft("probe", 7))
    rows = server.execute(f"SELECT deg FROM telemetry.probe WHERE site = '{site}' ORDER BY seq")
    assert rows == [(1.5,), (None,), (None,)]


def test_a_wait_ends_with_the_storage_and_leaves_no_thread(open_storage):
    """Also one that listens to others."""
    storage = open_storage()
    call = Call(lambda: storage.wait(0))
    try:
        (event,) = append(storage, make_draft())
        assert call.result(PATIENCE_S) == event.seq
        call = Call(lambda: storage.wait(event.seq))
    finally:
        storage.close()
    with pytest.raises(StorageClosedError):
        call.result(PATIENCE_S)


def test_an_older_event_that_is_replicated_is_not_current(open_storage):
    """It fills a gap of the history, and no more."""
    with MemoryStorage() as another:
        events = append(another, *(make_draft(data=n) for n in range(3)))
    with open_storage() as storage:
        storage.replicate([events[0], events[2]])
        storage.replicate([events[1]])
        assert list(storage.read()) == events
        assert storage.current()["weather"] == events[2]


def test_other_processes_are_told(server, site, open_storage):
    """A notification names the last seq, so that nobody has to wait for the next look."""
    with open_storage() as storage, psycopg.connect(server.url(), autocommit=True) as link:
        asked = f"SELECT site_id FROM telemetry.site WHERE name = '{site}'"
        ((number,),) = server.execute(asked)
        link.execute(f"LISTEN telemetry_{number}")
        append(storage, make_draft(), make_draft("dome", store_permanently=False))
        told = [note.payload for note in link.notifies(timeout=PATIENCE_S, stop_after=1)]
    assert told == ["1"]


def test_seqs_have_no_hole_after_a_refused_batch(open_storage):
    """A number that was not kept is given again: it was never seen."""
    with open_storage() as storage:
        append(storage, make_draft(data=1, id="a"))
        with pytest.raises(telemetry_core.IdConflictError):
            append(storage, make_draft(data=2), make_draft(data=2, id="a"))
        (event,) = append(storage, make_draft(data=3))
        assert event.seq == 2
        seqs = [one.seq for one in storage.read()]
        assert all(later - former == 1 for former, later in itertools.pairwise(seqs))


def test_the_server_has_the_psycopg_that_hears_every_notification():
    """Before 3.2.4 some were lost."""
    assert tuple(map(int, psycopg.__version__.split(".")[:3])) >= (3, 2, 4)
