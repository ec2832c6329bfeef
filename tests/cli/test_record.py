"""`telemetry record`: one event, or many from standard input."""

import json
import signal
import subprocess

import pytest


@pytest.fixture(params=["service", "storage"])
def where(request, tmp_path):
    """Each of the two places a command can go to: a running service, or the storage itself."""
    if request.param == "service":
        return request.getfixturevalue("service").at
    return ("--storage", str(tmp_path / "site"))


def test_the_event_becomes_current(telemetry, where):
    """What was recorded is said on stderr, and stdout stays empty."""
    done = telemetry("record", "weather", '{"sky": "clear"}', *where)

    assert (0, "") == (done.code, done.out)
    assert done.err.startswith("recorded 'weather' as event ")
    assert {"sky": "clear"} == telemetry("current", "weather", "--json", *where).json["data"]


@pytest.mark.parametrize("text", ["true", "null", "-1", "-1.5e3", "[1, 2]", '"clear"', '""'])
def test_data_is_any_json_value(telemetry, where, text):
    """A number that begins with a minus is no option."""
    done = telemetry("record", "any", text, "--json", *where)

    assert 0 == done.code
    assert json.loads(text) == done.json["data"]


def test_json_is_the_envelope_on_one_line(telemetry, where):
    """With five keys, in the order of the files."""
    done = telemetry("record", "weather", "1", "--json", "--ts", "2026-03-18T00:05:48Z", *where)

    assert ["seq", "ts", "type", "data", "meta"] == list(done.json)
    assert "2026-03-18T00:05:48.000Z" == done.json["ts"]
    assert 1 == done.out.count("\n")


def test_a_text_without_quotes_is_explained(telemetry):
    """The shell took the quotes, so the message shows how to keep them."""
    done = telemetry("record", "sky", "clear", "--storage", "memory:")

    assert (1, "") == (done.code, done.out)
    assert "'clear' cannot be recorded" in done.err
    assert "'\"clear\"'" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bad\x1b[31m", "1"), r"'bad\x1b[31m' is no type"),
        (("a", "1", "--ts", "banana"), "$.ts: 'banana' is no RFC 3339 time"),
        (("a", "NaN"), "NaN is not JSON; use null"),
        (("a", "[18446744073709551616]"), "18446744073709551616 is outside"),
        (("a", "[" * 200 + "]" * 200), "nested deeper than 100"),
    ],
)
def test_what_cannot_be_recorded_is_named(telemetry, where, words, said):
    """In the same words with and without a service."""
    done = telemetry("record", *words, *where)

    assert (1, "") == (done.code, done.out)
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("words", [(), ("a",), ("-", "1"), ("-", "--ephemeral"), ("a", "1", "2")])
def test_a_wrong_number_of_words_is_a_usage_error(telemetry, words):
    """Nothing is opened for it."""
    done = telemetry("record", *words, "--storage", "never")

    assert (2, "") == (done.code, done.out)
    assert done.err.startswith("Usage: telemetry record ")


def test_an_event_can_stay_out_of_current(telemetry, where):
    """With --no-current the value before it stays the current one."""
    telemetry("record", "backfill", "1", *where)
    telemetry("record", "backfill", "2", "--no-current", *where)

    assert 1 == telemetry("current", "backfill", "--json", *where).json["data"]


def test_an_ephemeral_event_leaves_no_line(telemetry, service):
    """With --ephemeral it is current, and in no file."""
    telemetry("record", "ephemeral", "1", "--ephemeral", *service.at)
    telemetry("record", "kept", "1", *service.at)

    lines = "".join(path.read_text() for path in service.site_dir.rglob("*.ndjson"))
    assert 1 == telemetry("current", "ephemeral", "--json", *service.at).json["data"]
    assert '"kept"' in lines
    assert '"ephemeral"' not in lines


def test_the_site_stream_is_open_during_a_run(telemetry, tmp_path):
    """With --stream site the event carries no run."""
    where = ("--storage", tmp_path / "site")
    telemetry("runs", "start", "M42", *where)

    assert {"run_id": "M42"} == telemetry("record", "a", "1", "--json", *where).json["meta"]
    assert {} == telemetry("record", "a", "1", "--stream", "site", "--json", *where).json["meta"]


LINES = [
    (b'{"type": "a", "data": 1}\r', None),
    (b"", None),
    (b"  ", None),
    (b"{bad", "malformed JSON: Expecting property name"),
    (b"\xff\xfe", "malformed JSON: not UTF-8 at byte 0"),
    (b'{"type": "b", "data": NaN}', "NaN is not JSON"),
    (b'{"type": "b", "data": 1, "data": 2}', "the key 'data' stands twice"),
    (b"[1]", "$: must be an object, not [1]"),
    (b'{"type": "b", "data": "\x07"}', "Invalid control character at character 23"),
    (b'{"type": "b"}', "$.data: the field 'data' is missing"),
    (b'{"type": 5, "data": 1}', "$.type: must be a string, not 5"),
    (b'{"type": "b", "data": 1, "ts": "banana"}', "$.ts: 'banana' is no RFC 3339 time"),
    (b'{"type": "b", "data": 1, "frob": 1}', "no field named 'frob'"),
    (b'{"type": "\\u001b[31m", "data": 1}', r"'\x1b[31m' is no type"),
    (b'{"type": "c", "data": [2], "id": "one"}', None),
    (b'{"type": "c", "data": [3], "id": "one"}', "id 'one' belongs to event"),
    (b'{"seq": 99, "ts": "2026-03-18T00:05:48.955Z", "type": "d", "data": {}, "meta": {}}', None),
    (b'{"type": "e", "data": "last, and no line break"}', None),
]


def test_bad_lines_are_named_and_the_good_ones_recorded(telemetry, where):
    """By their number in the input, whichever reason they are refused for."""
    done = telemetry("record", "-", "--json", *where, given=b"\n".join(line for line, _ in LINES))

    assert 1 == done.code
    assert ["a", "c", "d", "e"] == [event["type"] for event in done.json_lines]
    refused = [(number, why) for number, (_, why) in enumerate(LINES, 1) if why is not None]
    *named, end = done.err.splitlines()
    assert len(refused) == len(named)
    for (number, why), line in zip(refused, named, strict=True):
        assert line.startswith(f"line {number}: ")
        assert why in line
    assert "Error: recorded 4, refused 12" == end


def test_good_lines_end_well(telemetry, where):
    """The exit code is 0, and the count is said on stderr."""
    done = telemetry("record", "-", *where, given=b'{"type":"a","data":1}\n{"type":"a","data":2}\n')

    assert (0, "", "recorded 2\n") == (done.code, done.out, done.err)
    assert 2 == telemetry("current", "a", "--json", *where).json["data"]


def test_a_line_of_the_history_can_be_recorded_again(telemetry, tmp_path):
    """`seq` is given anew, and `ts`, `data` and `meta` stay."""
    first = telemetry(
        *("record", "a", "1", "--ts", "2026-03-18T00:05:48.955Z", "--json"),
        *("--storage", tmp_path / "one"),
    )
    again = telemetry("record", "-", "--json", "--storage", "memory:", given=first.out.encode())

    assert first.json == again.json


def test_no_input_is_nothing_to_record(telemetry):
    """An empty input is no error."""
    done = telemetry("record", "-", "--storage", "memory:")
    assert (0, "recorded 0\n") == (done.code, done.err)


def test_a_service_that_goes_away_is_told_with_the_line(commands, eventually):
    """What was recorded before it is counted, and the code says that nobody answers."""
    service = commands.serve()
    recording = commands.start("record", "-", "--json", *service.at, given=subprocess.PIPE)
    recording.process.stdin.write(b'{"type":"a","data":1}\n')
    recording.process.stdin.flush()
    eventually(lambda: recording.out)
    service.running.end(signal.SIGKILL)
    recording.process.stdin.write(b'{"type":"a","data":2}\n')
    recording.process.stdin.close()

    assert 4 == recording.process.wait(20)
    assert "ended at line 2: recorded 1, refused 0" in recording.err


def test_an_interrupt_keeps_what_was_recorded(commands, telemetry, tmp_path, eventually):
    """Ctrl-C ends it with 130 and says how far it came."""
    site = tmp_path / "site"
    recording = commands.start("record", "-", "--json", "--storage", site, given=subprocess.PIPE)
    recording.process.stdin.write(b'{"type":"a","data":1}\n')
    recording.process.stdin.flush()
    eventually(lambda: recording.out)

    assert 130 == recording.end(signal.SIGINT)
    assert "ended at line 1: recorded 1, refused 0\n" == recording.err
    assert 1 == telemetry("current", "a", "--json", "--storage", site).json["data"]
