"""Archives as PanFileDB left them, and what a migration makes of them."""

import json
import os
from pathlib import Path

import pytest

import telemetry_migrate


class Archive:
    """A PanFileDB directory to be filled, and the target beside it."""

    def __init__(self, place):
        self.source = place / "json_store" / "panoptes"
        self.dest = place / "migrated"
        self.source.mkdir(parents=True)

    def write(self, name, content):
        """Write *content* (bytes) as the file of the collection *name*."""
        (self.source / f"{name}.json").write_bytes(content)

    def add(self, name, *records):
        """Append *records* to the collection *name*, one a line."""
        with (self.source / f"{name}.json").open("a") as file:
            for record in records:
                file.write(json.dumps(record) + "\n")

    def migrate(self, **options):
        """Migrate, and check that every record is accounted for."""
        report = telemetry_migrate.migrate(self.source, self.dest, **options)
        assert report.read == report.written + report.already_there + report.rejected
        assert report.read == sum(each.read for each in report.files)
        assert report.rejected == sum(each.rejected for each in report.files)
        return report

    def files(self):
        """Return the day files and what is in them."""
        return {path.name: path.read_bytes() for path in sorted(self.dest.glob("site_*"))}

    def events(self):
        """Return every event, in the order of the files."""
        return [json.loads(line) for text in self.files().values() for line in text.splitlines()]

    def rejects(self):
        """Return the lines of the rejects file."""
        path = self.dest / ".telemetry" / "rejected.ndjson"
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def make_record(number, date, data=None, type_="weather"):
    """Return a record as PanDB made it, with an id of its own."""
    value = {"number": number} if data is None else data
    return {"_id": f"id-{number}", "data": value, "type": type_, "date": date}


@pytest.fixture
def archive(tmp_path):
    """An empty archive."""
    return Archive(tmp_path)


@pytest.fixture
def record():
    """The function that makes a record."""
    return make_record


@pytest.fixture
def real_table():
    """The CSV file of a real weather station, where this machine has one."""
    place = Path(os.environ.get("TELEMETRY_TEST_TABLE", "/nowhere"))
    if not place.is_file():
        pytest.skip("TELEMETRY_TEST_TABLE names no CSV file to try")
    return place


@pytest.fixture
def real_archive():
    """A json_store directory of a real site, where this machine has one."""
    place = Path(os.environ.get("TELEMETRY_TEST_ARCHIVE", "/nowhere"))
    if not place.is_dir():
        pytest.skip("TELEMETRY_TEST_ARCHIVE names no json_store directory to try")
    return place
