"""Checking a site directory, and setting aside what is damaged in it."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from telemetry_core.cli.group import make_cli
from telemetry_core.errors import StorageInUseError
from telemetry_core.ndjson.check import check, repair
from telemetry_core.ndjson.layout import Layout
from telemetry_core.testing.samples import data_of, make_draft, make_run, seqs_of, stop, stored
from tests.core.ndjson.sites import DAY, append, line, number, open_site

RUN = "001/telemetry.ndjson"


@pytest.fixture
def sound(site):
    """Make a site directory with two days and two runs, one of them active."""
    with open_site(site) as storage:
        append(storage, *(make_draft(data=n) for n in range(4)))
        number(storage, "ephemeral", store_permanently=False)
        run = storage.start_run(make_run("001"))
        append(storage, *(make_draft(data=n, run_id="001") for n in range(4, 7)))
        stop(storage, run)
        number(storage, 7, seconds=86400)
        storage.start_run(make_run("002"))
        number(storage, 8, run_id="002")
    return site


def lines_in(path):
    """Return the lines of *path* with their line breaks."""
    return path.read_bytes().splitlines(keepends=True)


def everything(site):
    """Return the content of every file that is not ours alone."""
    return {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_sound_site_is_sound(sound):
    """Events, first and last seq and gaps of each file and of all; nothing is changed."""
    before = everything(sound)
    report = check(Layout(sound))
    assert before == everything(sound)
    assert report.is_sound
    assert [(one.file, one.events, one.first_seq, one.last_seq) for one in report.files] == [
        (DAY, 4, 1, 4),
        ("site_20260319.ndjson", 1, 9, 9),
        (RUN, 3, 6, 8),
        ("002/telemetry.ndjson", 1, 10, 10),
    ]
    assert (report.events, report.gaps) == (9, 1)


def test_an_empty_directory_is_sound(site):
    """There is nothing in it that could be damaged."""
    site.mkdir()
    report = check(Layout(site))
    assert (report.is_sound, report.files, report.events) == (True, [], 0)


def test_each_file_is_told_before_it_is_read(sound):
    """So that who waits sees that it goes on."""
    told = []
    check(Layout(sound), on_file=told.append)
    assert told == [DAY, "site_20260319.ndjson", RUN, "002/telemetry.ndjson"]


DAMAGE = {
    "garbage": lambda lines: [lines[0], b"\xff\x00garbage\n", *lines[1:]],
    "half a line": lambda lines: [lines[0], lines[1][:20] + b"\n", *lines[2:]],
    "two in one": lambda lines: [lines[0][:-1] + lines[1], *lines[2:]],
    "no object": lambda lines: [lines[0], b"[1]\n", *lines[1:]],
    "no seq": lambda lines: [lines[0], b'{"ts":"2026-03-18T18:00:00Z"}\n', *lines[1:]],
    "zeros": lambda lines: [lines[0], bytes(100) + b"\n", *lines[1:]],
    "torn": lambda lines: [*lines, b'{"seq":900,"ts"'],
    "torn and garbage": lambda lines: [b"oops\n", *lines, b'{"seq":900,"ts"'],
}


@pytest.mark.parametrize("name", [DAY, RUN])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_told_and_set_aside(sound, name, damage):
    """With file, offset and bytes; every intact event stays, and what was cut is kept."""
    path = sound / name
    before = lines_in(path)
    lines = damage(before)
    path.write_bytes(b"".join(lines))
    whole = [text for text in lines if text in before]
    damaged = [text for text in lines if text not in before]
    wanted = [(name, path.read_bytes().index(text), len(text.rstrip(b"\n"))) for text in damaged]
    report = check(Layout(sound))
    assert [(one.file, one.offset, one.bytes) for one in report.damage] == wanted
    assert not report.is_sound

    mended = repair(Layout(sound))
    assert mended.damage == report.damage
    assert len(mended.mended) == len(damaged)
    assert path.read_bytes() == b"".join(whole)
    aside = [one.read_bytes() for one in (sound / ".telemetry" / "torn").iterdir()]
    assert sorted(aside) == sorted(text.rstrip(b"\n") for text in damaged)
    assert check(Layout(sound)).is_sound
    with open_site(sound) as storage:
        seqs = seqs_of(stored(storage))
        assert {orjson.loads(text)["seq"] for text in whole} <= set(seqs)
        assert number(storage, "new", run_id="002", seconds=90000).seq > max(seqs)


def test_a_whole_line_without_its_break_is_no_loss(sound):
    """It gets one, and nothing is set aside."""
    path = sound / DAY
    text = path.read_bytes()
    path.write_bytes(text[:-1])
    assert len(check(Layout(sound)).damage) == 1
    repair(Layout(sound))
    assert path.read_bytes() == text
    assert not (sound / ".telemetry" / "torn").exists()


def test_an_empty_line_is_no_damage(sound):
    """Readers pass over it, and nothing is lost by it."""
    path = sound / DAY
    first, *others = lines_in(path)
    path.write_bytes(first + b"\n" + b"".join(others))
    assert check(Layout(sound)).is_sound


def test_a_seq_that_stands_twice_is_told(sound):
    """In one file or in two; the second of two equal lines is set aside, others stay."""
    path = sound / DAY
    first, second, *others = lines_in(path)
    path.write_bytes(first + second + second + b"".join(others))
    with (sound / RUN).open("ab") as file:
        file.write(line(10, data="another", meta={"run_id": "001"}))
    report = check(Layout(sound))
    assert [one.reason for one in report.damage] == ["the line before it once more"]
    assert report.repeated == [10]
    assert not report.is_sound
    repair(Layout(sound))
    assert lines_in(path) == [first, second, *others]
    assert check(Layout(sound)).repeated == [10]
    (aside,) = (sound / ".telemetry" / "torn").iterdir()
    assert aside.read_bytes() + b"\n" == second


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", b'{"run_id":"001","started_at":5}', b'{"run_id":1}']
)
def test_unreadable_facts_of_a_run_are_made_again(sound, text):
    """From its lines; what was there is kept, and the run is told to be lost."""
    (sound / "001" / "run.json").write_bytes(text)
    report = check(Layout(sound))
    assert report.unreadable_runs == ["001"]
    assert not report.is_sound
    with open_site(sound) as storage:
        assert [run.run_id for run in storage.runs()] == ["002", "001"]
    repair(Layout(sound))
    assert check(Layout(sound)).is_sound
    (aside,) = (sound / ".telemetry" / "torn").iterdir()
    assert aside.read_bytes() == text
    with open_site(sound) as storage:
        run = next(run for run in storage.runs() if run.run_id == "001")
        assert (run.status, run.events, run.first_seq, run.last_seq) == ("lost", 3, 6, 8)
        assert data_of(storage, run="001") == [4, 5, 6]


def test_unreadable_facts_of_nothing_are_removed(sound):
    """A run without events was none."""
    (sound / "003").mkdir()
    (sound / "003" / "run.json").write_bytes(b"{")
    repair(Layout(sound))
    assert not (sound / "003" / "run.json").exists()
    assert check(Layout(sound)).is_sound


def test_a_repaired_file_is_as_it_was_but_for_the_damage(sound):
    """Its permissions too, and no other file is touched."""
    path = sound / DAY
    path.chmod(0o600)
    others = {one: text for one, text in everything(sound).items() if ".telemetry" not in one.parts}
    del others[path]
    path.write_bytes(path.read_bytes() + b"oops\n")
    repair(Layout(sound))
    assert path.stat().st_mode & 0o777 == 0o600
    assert others == {one: text for one, text in everything(sound).items() if one in others}
    assert not list(sound.glob(".*.new"))


def test_repairing_what_is_sound_changes_nothing(sound):
    """Not even the checkpoint."""
    before = everything(sound)
    assert repair(Layout(sound)).mended == []
    after = everything(sound)
    lock = sound / ".telemetry" / "lock"
    assert {one: text for one, text in after.items() if one != lock} == {
        one: text for one, text in before.items() if one != lock
    }


def test_a_site_is_not_repaired_while_somebody_writes(site, storage):
    """Checked it may be, and nothing of what was written before is missed."""
    number(storage, 1)
    with pytest.raises(StorageInUseError):
        repair(Layout(site))
    assert check(Layout(site)).events == 1
    number(storage, 2)
    assert data_of(storage) == [1, 2]


def run_command(*arguments):
    """Run `telemetry check` with *arguments*."""
    return CliRunner().invoke(make_cli(), ["check", *map(str, arguments)])


def test_the_command_says_what_is_there(sound):
    """A line for each file, a sentence at the end, and the exit code 0."""
    done = run_command(sound)
    assert done.exit_code == 0
    assert [DAY, "4", "1", "4", "0"] in [text.split() for text in done.stdout.splitlines()]
    assert "9 events in 4 files, 1 seqs not stored; sound" in done.stderr


def test_the_command_says_what_is_damaged(sound):
    """With the exit code 1, also when it was repaired, and 0 the next time."""
    path = sound / DAY
    offset = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"oops\n" + b"torn")
    (sound / "001" / "run.json").write_bytes(b"{")
    done = run_command(sound)
    assert done.exit_code == 1
    assert f"damaged: {DAY}, offset {offset}, 4 bytes" in done.stderr
    assert f"damaged: {DAY}, offset {offset + 5}, 4 bytes: torn" in done.stderr
    assert "unreadable: the run.json in 001" in done.stderr
    done = run_command("--repair", sound)
    assert done.exit_code == 1
    assert done.stderr.count("repaired: ") == 3
    assert run_command(sound).exit_code == 0


def test_the_command_prints_json(sound):
    """One document with all that was found, for a program."""
    (sound / DAY).write_bytes((sound / DAY).read_bytes() + b"oops\n")
    done = run_command("--json", sound)
    assert done.exit_code == 1
    found = orjson.loads(done.stdout)
    assert (found["sound"], found["gaps"], found["repeated"]) == (False, 1, [])
    assert found["damage"][0]["file"] == DAY
    assert [one["events"] for one in found["files"]] == [4, 1, 3, 1]


def test_the_command_repairs_nothing_under_a_writer(site, storage):
    """It names the process that writes, and the exit code is not that of damage."""
    number(storage, 1)
    done = run_command("--repair", site)
    assert f"written by process {os.getpid()}" in done.stderr
    assert done.exit_code not in {0, 1}


def test_a_site_that_is_being_written_can_be_checked(site, storage):
    """From another process, while lines come."""
    command = [Path(sys.executable).with_name("telemetry"), "check", "--json", str(site)]
    number(storage, 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        count = 1
        while process.poll() is None:
            append(storage, *(make_draft(data=n) for n in range(10)), seconds=count)
            count += 10
        out, _ = process.communicate()
    found = orjson.loads(out)
    assert found["repeated"] == []
    assert [one for one in found["damage"] if not one["reason"].startswith("torn")] == []
