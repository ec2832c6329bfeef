"""`telemetry migrate`: bring in the files of PanDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from telemetry_core.cli.exits import CommandError
from telemetry_core.cli.messages import say, verbose_option
from telemetry_core.cli.output import print_json, print_rows
from telemetry_migrate.commands.bar import progress_bar
from telemetry_migrate.commands.exits import DIFFERS, REJECTED, command_error

if TYPE_CHECKING:
    from telemetry_migrate.report import Report


@click.command()
@click.option("--source", required=True, metavar="DIR", help="The json_store directory of PanDB.")
@click.option("--dest", required=True, metavar="DIR", help="Where to write the NDJSON files.")
@click.option(
    "--day",
    type=click.Choice(["utc", "observing"]),
    default="utc",
    show_default=True,
    help="A file for each UTC date, or from local noon to local noon.",
)
@click.option("--timezone", metavar="ZONE", help="Where noon is, as Pacific/Honolulu.")
@click.option("--merge", is_flag=True, help="Add what is missing to day files that are there.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and write nothing.")
@click.option("--verify", is_flag=True, help="Read both sides again and compare them.")
@click.option(
    "--rejects", metavar="FILE", help="Where to write what was rejected, with the reason."
)
@click.option("--allow-rejects", is_flag=True, help="Exit with 0 also if something was rejected.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Work with so many processes; by itself as many as are of use.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
@verbose_option
def migrate(
    *,
    source: str,
    dest: str,
    day: str,
    timezone: str | None,
    merge: bool,
    dry_run: bool,
    verify: bool,
    rejects: str | None,
    allow_rejects: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """
    Bring in the files of PanDB.

    Each record of each collection becomes an event in the file of its day, in order of time.
    Records that cannot be events are written to a file of rejects.

    Exit codes: 0 all is there, 3 no archive, 5 the target is in use, 6 something was rejected, 7
    the target holds something else, 8 the two sides differ.
    """
    from telemetry_migrate.errors import MigrateError
    from telemetry_migrate.migration import migrate as migrate_archive

    try:
        with progress_bar() as show:
            report = migrate_archive(
                source,
                dest,
                day=day,
                timezone=timezone,
                merge=merge,
                dry_run=dry_run,
                verify=verify,
                rejects=rejects,
                jobs=jobs,
                progress=show,
            )
    except MigrateError as error:
        raise command_error(error) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    _end(report, allow_rejects=allow_rejects)


def _print_report(report: Report) -> None:
    print_rows(
        ["file", "read", "rejected"],
        [[each.file, str(each.read), str(each.rejected)] for each in report.files],
    )
    if report.verified:
        print_rows(
            ["day", "type", "source", "target", "source hash", "target hash", ""],
            [
                [
                    each.day,
                    each.type,
                    str(each.expected),
                    str(each.found),
                    each.expected_hash,
                    each.found_hash,
                    "same" if each.is_same else "DIFFERENT",
                ]
                for each in report.verified
            ],
        )
    would = "would be " if report.is_dry_run else ""
    say(
        f"{report.read} read = {report.written} {would}written"
        f" + {report.already_there} already there + {report.rejected} rejected,"
        f" {len(report.days)} days"
    )
    if report.nulled:
        say(f"{report.nulled} numbers that JSON does not have (NaN, Infinity) became null")


def _end(report: Report, *, allow_rejects: bool) -> None:
    """End the command with the exit code that the *report* asks for."""
    if report.verified and not report.is_verified:
        raise CommandError("source and target differ", DIFFERS)
    if report.rejected and not allow_rejects:
        where = f": see {report.rejects_file}" if report.rejects_file else ""
        raise CommandError(f"{report.rejected} records were rejected{where}", REJECTED)
