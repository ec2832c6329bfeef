"""`telemetry runs`: list, show, start and stop."""

import pytest

KEYS = [
    *("run_dir", "run_id", "meta", "started_at", "stopped_at", "status", "reason", "events"),
    *("first_seq", "last_seq"),
]


def _runs(telemetry, where):
    def run(verb, *words):
        return telemetry("runs", verb, *where, *words)

    return run


def _make_site(telemetry, tmp_path):
    where = ("--storage", tmp_path / "site")
    telemetry("record", "weather", "1", *where)
    return where


@pytest.fixture(params=["service", "storage"])
def runs(request, telemetry, tmp_path):
    """Return a function that runs `telemetry runs …` on a new site, with a service or without."""
    where = _make_site(telemetry, tmp_path)
    if request.param == "service":
        where = request.getfixturevalue("commands").serve().at
    return _runs(telemetry, where)


@pytest.fixture(params=["service", "storage"])
def no_runs(request, telemetry, tmp_path):
    """Return the same for a site on which no test starts a run."""
    if request.param == "service":
        return _runs(telemetry, request.getfixturevalue("service").at)
    return _runs(telemetry, _make_site(telemetry, tmp_path))


def test_a_run_from_start_to_stop(runs):
    """What is shown is the same run."""
    started = runs("start", "M42", "--json").json
    shown = runs("show", "--json").json
    stopped = runs("stop", "--json").json

    assert KEYS == list(started)
    assert ("M42", "active", None) == (started["run_id"], started["status"], started["stopped_at"])
    assert started == shown
    assert "completed" == stopped["status"]
    assert stopped == runs("show", "M42", "--json").json
    assert [stopped] == runs("list", "--json").json


def test_a_run_counts_its_events(telemetry, commands):
    """While it is active, and when it is over."""
    where = commands.serve().at
    telemetry("runs", "start", *where)
    first = telemetry("record", "image", "1", "--json", *where).json["seq"]
    last = telemetry("record", "image", "2", "--json", *where).json["seq"]

    for words in (("show",), ("stop",), ("show", "001")):
        run = telemetry("runs", *words, "--json", *where).json
        assert (2, first, last) == (run["events"], run["first_seq"], run["last_seq"])


def test_without_an_id_it_gets_the_next_number(runs):
    """With at least three digits."""
    ids = []
    for _ in range(2):
        ids.append(runs("start", "--json").json["run_id"])
        runs("stop")

    assert ["001", "002"] == ids


def test_an_id_used_before_is_resumed(runs):
    """Its first start stays, and it is one run."""
    first = runs("start", "M42", "--json").json
    runs("stop")
    again = runs("start", "M42", "--json").json

    assert first["started_at"] == again["started_at"]
    assert ["M42"] == [run["run_id"] for run in runs("list", "--json").json]


def test_meta_is_json_where_it_can_be(runs):
    """Else text; an empty value, spaces and further equals signs belong to the text."""
    pairs = ("n=3", "ok=true", "list=[1]", "text=a b", "sum=1+1=2", "none=", "nan=NaN")
    words = [word for pair in pairs for word in ("--meta", pair)]

    assert {
        "n": 3,
        "ok": True,
        "list": [1],
        "text": "a b",
        "sum": "1+1=2",
        "none": "",
        "nan": "NaN",
        "run_id": "M42",
    } == runs("start", "M42", *words, "--json").json["meta"]


@pytest.mark.parametrize("pair", ["observer", "=Ada", ""])
def test_meta_without_key_or_value_is_a_usage_error(no_runs, pair):
    """And no run is started."""
    done = no_runs("start", "M42", "--meta", pair)

    assert 2 == done.code
    assert f"--meta takes KEY=VALUE, not {pair!r}" in done.err
    assert [] == no_runs("list", "--json").json


def test_a_run_stops_as_it_is_told(runs):
    """With a status and a reason."""
    runs("start", "M42")
    stopped = runs("stop", "--status", "aborted", "--reason", "clouds", "--json").json

    assert ("aborted", "clouds") == (stopped["status"], stopped["reason"])
    assert 2 == runs("stop", "--status", "active").code


def test_a_second_run_is_refused(runs):
    """The active one is named, with a way out."""
    runs("start", "M42")
    done = runs("start", "M31")

    assert (1, "") == (done.code, done.out)
    assert "run 'M42' is active since" in done.err
    assert "stop it first" in done.err


@pytest.mark.parametrize("run_id", ["../../x", "site_20260318", "a/b", "con", "a" * 129, ""])
def test_an_id_no_storage_can_keep_is_refused(no_runs, run_id):
    """Nothing is written for it, inside or outside."""
    done = no_runs("start", "--", run_id)

    assert (1, "") == (done.code, done.out)
    assert "$.run_id: " in done.err
    assert [] == no_runs("list", "--json").json


@pytest.mark.parametrize("words", [("show",), ("show", "nope"), ("stop",)])
def test_what_is_not_there_is_not_found(no_runs, words):
    """With a code of its own."""
    done = no_runs(*words)

    assert (3, "") == (done.code, done.out)
    assert done.err in ("Error: no run is active\n", "Error: no run 'nope'\n")


def test_lines_of_the_list_are_split_by_tabs(runs):
    """Run, status, start, stop, events and reason; what is not there is a dash."""
    runs("start", "001")
    runs("stop", "--reason", "clouds")
    runs("start", "M42")
    first, second = runs("list").rows

    assert ["001", "completed", "0", "clouds"] == [first[0], first[1], first[4], first[5]]
    assert ["M42", "active", second[2], "-", "0", "-"] == second
    assert second[2].endswith("Z")


def test_a_shown_run_is_a_line_for_each_fact(runs):
    """What is not known has no line."""
    runs("start", "M42", "--meta", "observer=Ada")
    shown = dict(runs("show").rows)

    assert ["run_dir", "run_id", "meta", "started_at", "status", "events"] == list(shown)
    assert '{"observer":"Ada","run_id":"M42"}' == shown["meta"]
    assert "M42" == shown["run_id"]


def test_no_runs_are_an_empty_list(no_runs):
    """Said on stderr; on stdout there is nothing, or an empty document."""
    done = no_runs("list")
    assert (0, "", "no run was started yet\n") == (done.code, done.out, done.err)
    assert [] == no_runs("list", "--json").json


@pytest.mark.parametrize("verb", ["list", "show", "start", "stop"])
def test_a_service_that_is_not_there_is_told(telemetry, verb):
    """With the same code in each of the four."""
    done = telemetry("runs", verb, "--port", 1)
    assert (4, "") == (done.code, done.out)
