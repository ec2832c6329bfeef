"""A hostile archive: each kind of damage costs its own record and no other."""

import json
import os

import pytest

GOOD = b'{"_id": "good", "type": "weather", "date": "2026-03-18T00:00:00", "data": {"sky": 1}}'


def with_data(data, **others):
    """Return the line of a record whose data is the text *data*."""
    fields = {"_id": '"x"', "type": '"weather"', "date": '"2026-03-18T00:00:01.000001"', **others}
    text = ", ".join(f'"{key}": {value}' for key, value in fields.items() if value is not None)
    return f'{{{text}, "data": {data}}}'.encode()


DAMAGED = {
    "torn": (GOOD[:40], "malformed"),
    "torn in a number": (with_data("12")[:-2], "malformed"),
    "no JSON": (b"hello", "malformed"),
    "a list": (b"[1, 2]", "object"),
    "a number": (b"17", "object"),
    "zeros after a power cut": (b"\0" * 100, "malformed"),
    "no UTF-8": (GOOD.replace(b"good", b"\xff\xfe"), "UTF-8"),
    "no data": (b'{"_id": "x", "type": "weather", "date": "2026-03-18T00:00:00"}', "data"),
    "no date": (with_data("1", date=None), "date"),
    "a date that is a number": (with_data("1", date="1616025948.9"), "date"),
    "a date that is none": (with_data("1", date='"banana"'), "date"),
    "a 30th of February": (with_data("1", date='"2026-02-30T00:00:00.000000"'), "date"),
    "a 25th hour": (with_data("1", date='"2026-02-20T25:00:00.000000"'), "date"),
    "a year that pandas has not": (with_data("1", date='"1500-02-20T05:00:00.000000"'), "1500"),
    "a type that is a number": (with_data("1", type="7"), "type"),
    "a type that is too long": (with_data("1", type=f'"{"t" * 129}"'), "type"),
    "a type with a line feed": (with_data("1", type='"a\\nb"'), "type"),
    "an integer beyond 64 bits": (with_data('{"a": 18446744073709551616}'), "integer"),
    "a float beyond 64 bits": (with_data("1e999"), "number"),
    "a key twice": (with_data('{"a": 1, "a": 2}'), "twice"),
    "a key twice, spaced": (with_data('{"a" : 1, "b": 1, "b": 2}'), "twice"),
    "a key twice, deep": (with_data('{"a": [{"b": 1, "b": 2}]}'), "twice"),
    "a lone surrogate": (with_data('"\\ud800"'), "surrogate"),
    "a NUL": (with_data('{"a": "b\\u0000"}'), "NUL"),
    "nested too deep": (with_data("[" * 101 + "]" * 101), "deep"),
    "objects nested too deep": (with_data('{"a": ' * 101 + "1" + "}" * 101), "deep"),
    "nested without end": (with_data("[" * 100_000 + "]" * 100_000), "deep"),
    "too large": (with_data(f'"{"x" * 300_000}"'), "bytes"),
    "far too large": (with_data(f'"{"x" * 3_000_000}"'), "longer"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_costs_its_own_record(archive, damage):
    """The records around it are migrated; it stands in the rejects, with place and reason."""
    text, reason = DAMAGED[damage]
    again = GOOD.replace(b"good", b"also")
    archive.write("weather", GOOD + b"\n" + text + b"\n" + again + b"\n")
    archive.add("power", {"_id": "p", "date": "2026-03-18T00:00:00", "data": 1})
    report = archive.migrate(verify=True)
    assert [event["meta"]["original_id"] for event in archive.events()] == ["p", "good", "also"]
    assert (report.read, report.written, report.rejected) == (4, 3, 1)
    (reject,) = archive.rejects()
    assert (reject["file"], reject["line"]) == ("weather.json", 2)
    assert reason in reject["reason"]
    assert report.is_verified


def test_damage_is_found_where_all_else_is_usual(archive, record):
    """Far from anything odd, records are converted many at a time: that hides no damage."""
    usual = [
        json.dumps(
            record(number, f"2026-03-18T00:00:00.{number:06d}", {"text": "x" * 900})
        ).encode()
        for number in range(400)
    ]
    lines = [*usual]
    for text, _ in DAMAGED.values():
        lines += [text, *usual]
    archive.write("weather", b"\n".join(lines))
    report = archive.migrate(verify=True)
    assert report.is_verified
    assert (report.written, report.rejected) == (400, len(DAMAGED))
    assert [each["line"] for each in archive.rejects()] == [
        401 * number for number in range(1, len(DAMAGED) + 1)
    ]


@pytest.mark.parametrize(
    ("data", "more"),
    [
        ({"deep": {"er": {"a:b": 1}}}, {}),
        ([1, {"a": [2]}], {}),
        ("a: text", {}),
        ('é \\ " \n', {}),
        (0.1234567890123456789, {}),
        ({}, {"site": "HI"}),
        ({"a": {"b": {}}}, {"site": {"lat": 19.5, "lon": -155.6}}),
    ],
)
def test_what_is_unusual_is_kept_among_what_is_usual(archive, record, data, more):
    """Records that are converted many at a time become what each would become alone."""
    records = [record(number, f"2026-03-18T00:00:00.{number:06d}") for number in range(300)]
    records[150] = {**record(150, "2026-03-18T00:00:00.000150", data), **more}
    archive.add("weather", *records)
    report = archive.migrate(verify=True)
    assert report.is_verified
    events = archive.events()
    assert [event["data"] for event in events] == [each["data"] for each in records]
    assert events[150]["meta"].get("original_fields", {}) == more
    assert sum("original_fields" in event["meta"] for event in events) == bool(more)


def test_a_reject_keeps_the_raw_text(archive):
    """What is text stays text, other bytes are base64."""
    archive.write("weather", b"h\xc3\xa9llo\n\xff\xfe\n")
    archive.migrate()
    assert [(each.get("raw"), each.get("raw_base64")) for each in archive.rejects()] == [
        ("héllo", None),
        (None, "//4="),
    ]


def test_torn_lines_in_a_row_are_rejected_one_by_one(archive):
    """A torn line swallows neither the next torn one nor the good one after it."""
    archive.write("weather", GOOD[:30] + b"\n" + GOOD[:50] + b"\n" + GOOD + b"\n" + GOOD[:20])
    report = archive.migrate()
    assert (report.written, report.rejected) == (1, 3)
    assert [each["line"] for each in archive.rejects()] == [1, 2, 4]


def test_a_file_that_cannot_be_read_stops_no_other(archive, record):
    """A directory called like a collection is one reject without a line."""
    (archive.source / "broken.json").mkdir()
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate(verify=True)
    assert (report.written, report.rejected) == (1, 1)
    assert archive.rejects()[0]["line"] is None
    assert report.is_verified


@pytest.mark.parametrize("name", ["pipe", "current_pipe"])
def test_a_pipe_is_not_waited_for(archive, record, name):
    """Whatever is no file is a reject."""
    os.mkfifo(archive.source / f"{name}.json")
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate(verify=True)
    assert (report.written, report.rejected) == (1, 1)
    assert "no regular file" in archive.rejects()[0]["reason"]


def test_a_name_that_is_no_text_stops_no_other(archive, record):
    """Its records are taken, and its rejects can be read; only the name is shown in another way."""
    name = os.fsencode(archive.source) + b"/we\xffather.json"
    with open(name, "wb") as file:  # noqa: PTH123  # a path made of bytes
        file.write(b"hello\n" + GOOD + b"\n" + with_data("1", type=None) + b"\n")
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate(verify=True)
    assert (report.written, report.rejected) == (2, 2)
    assert [each["file"] for each in archive.rejects()] == ["we\\xffather.json"] * 2
    assert json.dumps(report.as_dict()).isascii()
    assert "we\\xffather.json" in {each.file for each in report.files}


def test_a_link_to_nowhere_stops_no_other(archive, record):
    """It is a reject like any file that cannot be read."""
    (archive.source / "gone.json").symlink_to("/nowhere")
    (archive.source / "current_gone.json").symlink_to("/nowhere")
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate()
    assert (report.written, report.rejected) == (1, 1)


def test_a_byte_order_mark_is_no_part_of_the_record(archive):
    """A file that an editor on Windows wrote loses nothing: its mark and its CRLF are taken off."""
    archive.write(
        "weather", b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD.replace(b"good", b"2") + b"\r\n"
    )
    report = archive.migrate()
    assert (report.written, report.rejected) == (2, 0)


def test_a_line_separator_in_a_string_ends_no_line(archive):
    """Raw U+2028, U+0085 and a form feed are characters like others."""
    archive.write("weather", with_data('"a\u2028b\u0085c"') + b"\n")
    archive.migrate()
    assert archive.events()[0]["data"] == "a\u2028b\u0085c"


def test_numbers_that_json_has_not_become_null(archive):
    """NaN and infinities of the old files are counted, text of that name is not."""
    archive.write(
        "weather", with_data('{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN, Infinity"}') + b"\n"
    )
    report = archive.migrate()
    assert archive.events()[0]["data"] == {"a": None, "b": [None, None], "c": "NaN, Infinity"}
    assert report.nulled == 3


@pytest.mark.parametrize("indent", [0, 2, "\t"])
@pytest.mark.parametrize("as_list", [False, True])
def test_pretty_printed_files_are_read(archive, record, indent, as_list):
    """Records over several lines, one after the other or as one list, are whole records."""
    data = {"text": '{"not": [a bracket', "list": [{}, {"a": 1}], "empty": []}
    records = [record(number, f"2026-03-18T00:00:0{number}", data) for number in range(3)]
    texts = (
        [json.dumps(records, indent=indent)]
        if as_list
        else [json.dumps(each, indent=indent) for each in records]
    )
    archive.write("weather", "\n".join(texts).encode())
    report = archive.migrate(verify=True)
    assert [event["data"] for event in archive.events()] == [data] * 3
    assert (report.read, report.rejected, report.is_verified) == (3, 0, True)


def test_a_list_with_a_record_on_each_line_is_read(archive, record):
    """The brackets and commas of the list belong to no record."""
    records = [json.dumps(record(number, "2026-03-18T00:00:00")) for number in range(3)]
    archive.write("weather", ("[" + ",\n".join(records) + "]\n").encode())
    assert archive.migrate().written == 3


def test_a_pretty_printed_record_that_is_torn_costs_itself(archive, record):
    """The next record begins on a line of its own."""
    pretty = json.dumps(record(1, "2026-03-18T00:00:00"), indent=2).encode()
    archive.write("weather", pretty + b"\n" + pretty[:40] + b"\n" + GOOD + b"\n")
    report = archive.migrate()
    assert (report.written, report.rejected) == (2, 1)
    assert archive.rejects()[0]["raw"] == pretty[:40].decode()


def test_fields_of_other_programs_are_kept(archive):
    """What PanDB did not write itself goes into meta, so that nothing is lost."""
    archive.write("weather", with_data("1", site='{"name": "HI"}') + b"\n")
    archive.migrate()
    assert archive.events()[0]["meta"] == {
        "migrated_from": "PanFileDB",
        "original_id": "x",
        "original_fields": {"site": {"name": "HI"}},
    }


def test_a_record_without_id_and_type_is_taken(archive):
    """The type is the collection's name then, and the id is null."""
    archive.write("weather", with_data("1", _id=None, type=None) * 1 + b"\n")
    archive.migrate()
    (event,) = archive.events()
    assert (event["type"], event["meta"]["original_id"]) == ("weather", None)


def test_a_record_that_stands_twice_is_written_once(archive, record):
    """A copy with the same id is already there; without an id nobody can say it is a copy."""
    twice = record(1, "2026-03-18T00:00:00.123456")
    nameless = {**twice, "_id": None}
    archive.add("a", twice, nameless, record(2, "2026-03-18T00:00:00.123456"))
    archive.add("b", nameless, twice)
    report = archive.migrate(verify=True)
    assert (report.written, report.already_there) == (4, 1)
    assert report.is_verified


def test_a_record_is_itself_at_one_time_only(archive, record):
    """The same id and data at another time is another record, and is kept."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"), record(1, "2026-03-18T00:00:00"))
    archive.add("weather", record(2, "2026-03-18T00:00:01"), record(1, "2026-03-18T00:00:01"))
    report = archive.migrate()
    assert (report.written, report.already_there) == (3, 1)


def test_no_rejects_leave_no_file(archive, record):
    """The file of an earlier migration goes when there is nothing to reject any more."""
    archive.write("weather", b"hello\n")
    archive.migrate()
    archive.write("weather", b"")
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate()
    assert report.rejects_file is None
    assert not (archive.dest / ".telemetry" / "rejected.ndjson").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_reject(archive, record):
    """The others are migrated all the same."""
    archive.add("secret", record(1, "2026-03-18T00:00:00"))
    archive.add("weather", record(2, "2026-03-18T00:00:00"))
    (archive.source / "secret.json").chmod(0)
    assert archive.migrate().rejected == 1
