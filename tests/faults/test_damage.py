"""A small log is damaged at every byte: whatever line is still whole is read."""

import shutil

import orjson
import pytest

import telemetry_core
from tests.faults.damage import BOM, DAMAGES
from tests.faults.driver import IS_LONG, event_files
from tests.faults.oracle import broken_promise, open_again

STEP = 1 if IS_LONG else 13
LAST_SEQ = 21
NS = 1_773_835_000_000_000_000

pytestmark = pytest.mark.timeout(1800 if IS_LONG else 60)


@pytest.fixture(params=["closed", "crashed"])
def log(request, place):
    """
    Make a site directory with a file of the site and one of a run.

    Crashed means: copied while it was open, so that most of it came after the checkpoint.
    """
    site, copy = place / "log", place / "crashed"
    with telemetry_core.open(site, timezone="UTC", durability="os", clock=lambda: NS) as recorder:
        for number in range(10):  # so that a seq has two digits, and a flipped bit makes it large
            recorder.record("status", number, store_permanently=False)
        recorder.record("weather", {"sky": "clear"})
        recorder.record("weather", {"sky": "cloudy ☁"}, id="a")
        recorder.start_run("M42", meta={"observer": "Ada"})
        for number in range(4):
            recorder.record("image", {"number": number})
            recorder.record("dome", [number], stream="site", make_current=number != 2)
        assert recorder.record("status", 10, store_permanently=False).seq == LAST_SEQ
        shutil.copytree(site, copy)
    return site if request.param == "closed" else copy


@pytest.mark.parametrize("name", ["site_20260317.ndjson", "M42/telemetry.ndjson"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_every_whole_line_is_read(log, place, caplog, damage, name):
    """What is damaged is told with file and offset and costs no other line."""
    before = (log / name).read_bytes()
    assert before.count(b"\n") >= 4
    lines = [line for path in event_files(log) for line in path.read_bytes().splitlines()]
    others = set(lines) - set(before.splitlines())

    def check(site, content):
        caplog.clear()
        pieces = content.split(b"\n")
        whole = {line for line in (piece.rstrip(b"\r") for piece in pieces) if line in lines}
        with open_again(site) as recorder:
            _check_reading(recorder, others | whole)
            # A number that damage made larger may stand before what a start reads again:
            # `telemetry check` finds it out of order.
            _check_seq(recorder, lines)
        _check_told(caplog, site / name, pieces, whole)
        if damage.name == "line repeated":
            seqs = _seqs_in_order(site)
            assert seqs == sorted(set(seqs))

    _try_everywhere(log, place / "trial", damage, name, check)


def _private_files(log):
    return sorted(p for p in (log / ".telemetry").rglob("*") if p.is_file() and p.name != "lock")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_no_file_but_the_lines_is_needed(log, place, damage):
    """Whatever becomes of checkpoint, reserved numbers, index or `run.json`: all lines are read."""
    lines = [line for path in event_files(log) for line in path.read_bytes().splitlines()]

    def check(site, _):
        with open_again(site) as recorder:
            _check_reading(recorder, set(lines))
            _check_seq(recorder, lines)

    for path in [*_private_files(log), log / "M42" / "run.json"]:
        name = str(path.relative_to(log))
        _try_everywhere(log, place / "trial", damage, name, check)


@pytest.mark.parametrize("state", ["removed", "emptied"])
def test_every_private_file_is_made_again(log, place, state):
    """Also all of them at once; current is what the lines say."""
    lines = [line for path in event_files(log) for line in path.read_bytes().splitlines()]
    paths = [path.relative_to(log) for path in _private_files(log)]
    assert len(paths) >= 2
    for chosen in [*([path] for path in paths), paths]:
        trial = _copy(log, place / "trial")
        for path in chosen:
            (trial / path).unlink()
            if state == "emptied":
                (trial / path).touch()
        with open_again(trial) as recorder:
            _check_reading(recorder, set(lines))
            current = {t: e.data for t, e in recorder.current().items() if e.store_permanently}
            assert current == {
                "weather": {"sky": "cloudy ☁"},
                "image": {"number": 3},
                "dome": [3],
            }
            _check_seq(recorder, lines)


def _try_everywhere(log, trial, damage, name, check):
    """Damage the file *name* of a copy of *log* at each place in turn, and *check* the copy."""
    content = (log / name).read_bytes()
    broken, tried = [], 0
    for at in damage.places(content, len(content), STEP):
        damaged = damage.change(content, at)
        (_copy(log, trial) / name).write_bytes(damaged)
        tried += 1
        try:
            check(trial, damaged)
        except Exception as error:  # noqa: BLE001  # a storage that does not open is one more
            broken.append(f"{name}, {damage.name} at {at}: {broken_promise(error)}")
    assert tried
    assert not broken, "\n".join([f"{len(broken)} of {tried} trials:", *broken])


def _copy(log, trial):
    shutil.rmtree(trial, ignore_errors=True)
    shutil.copytree(log, trial)
    return trial


def _check_reading(recorder, whole):
    """Every line of *whole* is read as the event it is, with and without a selection."""
    wanted = {(one["seq"], one["type"], str(one["data"])) for one in map(orjson.loads, whole)}
    for selection in ({}, {"since": "2000-01-01T00:00:00Z"}, {"last": 1000}):
        found = [(e.seq, e.type, str(e.data)) for e in recorder.history(**selection)]
        assert wanted - set(found) == set(), f"not read with {selection!r}"
        assert [one for one in wanted if found.count(one) > 1] == []
    recorder.current()
    list(recorder.runs())


def _check_seq(recorder, lines):
    """A new event gets a number above all that stand anywhere, and above the ephemeral one."""
    seqs = [orjson.loads(line).get("seq") for line in lines]
    highest = max([LAST_SEQ, *(seq for seq in seqs if type(seq) is int)])
    event = recorder.record("new", None)
    assert event.seq > highest
    assert list(recorder.history(types="new")) == [event]


def _check_told(caplog, path, pieces, whole):
    """The log names file and offset of every line that is no JSON."""
    told = [record.getMessage() for record in caplog.records]
    offset = 0
    for piece in pieces:
        is_known = piece.rstrip(b"\r").removeprefix(BOM) in whole
        if piece.strip() and not is_known and not _is_json(piece):
            wanted = f"offset {offset},"
            assert any(str(path) in one and wanted in one for one in told), (
                f"{wanted} not in {told}"
            )
        offset += len(piece) + 1


def _is_json(piece):
    try:
        return isinstance(orjson.loads(piece), dict)
    except orjson.JSONDecodeError:
        return False


def _seqs_in_order(site):
    with telemetry_core.open(site, read_only=True) as recorder:
        return [event.seq for event in recorder.history()]
