"""`telemetry serve-unit`: print a unit with which systemd keeps the service running."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from telemetry_http.commands.run import run

_HOMES: Final = ("/home", "/root", "/run/user")

_UNIT: Final = """\
[Unit]
Description=Telemetry recorder
After=network.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
# TELEMETRY_TOKEN=… stands here, in a file that only root can read.
EnvironmentFile=-/etc/telemetry/environment
{identity}
StateDirectory=telemetry
StateDirectoryMode=0750
RuntimeDirectory=telemetry
UMask=0027
LimitNOFILE=8192

Restart=on-failure
RestartSec=2
TimeoutStartSec=60
TimeoutStopSec=15
{watchdog}
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={home}
{paths}PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


@click.command("serve-unit", context_settings={"ignore_unknown_options": True})
@click.option("--user", metavar="NAME", help="Run as this user; without, as one made for it.")
@click.option(
    "--watchdog",
    "watchdog_s",
    type=click.IntRange(min=2),
    metavar="SECONDS",
    help="Start it anew when it says nothing for so long.",
)
@click.argument("options", metavar="[OPTIONS OF RUN]...", nargs=-1, type=click.UNPROCESSED)
def serve_unit(user: str | None, watchdog_s: int | None, options: tuple[str, ...]) -> None:
    r"""
    Print a systemd unit that runs the service.

    \b
    telemetry serve-unit --collect host > /etc/systemd/system/telemetry.service
    systemctl enable --now telemetry

    What is given besides goes to `telemetry run`, and is checked now. The files are in
    /var/lib/telemetry unless --site-dir says otherwise. The service may write nowhere else.
    """
    given: dict[str, Any] = run.make_context("telemetry run", list(options)).params
    if user is None:
        _check_readable(options)
    arguments = list(options)
    written = []
    if _is_given(options, "--site-dir"):
        written = [_absolute(given["site_dir"])]
    elif given["storage"] is None:
        arguments += ["--site-dir", "%S/telemetry"]
    program = Path(sys.executable).with_name("telemetry")
    places = [str(program), *written]
    is_at_home = any(place.startswith(f"{home}/") for place in places for home in _HOMES)
    words = [_quoted(str(program)), "run", *map(_quoted, arguments)]
    unit = _UNIT.format(
        command=" ".join(words),
        identity="DynamicUser=yes" if user is None else f"User={_checked_user(user)}",
        watchdog="" if watchdog_s is None else f"WatchdogSec={watchdog_s}\n",
        home="read-only" if is_at_home else "yes",
        paths="".join(f"ReadWritePaths={_quoted(place)}\n" for place in written),
    )
    click.echo(unit, nl=False)


def _is_given(options: Iterable[str], name: str) -> bool:
    return any(option.partition("=")[0] == name for option in options)


def _check_readable(options: Iterable[str]) -> None:
    for name in ("--token-file", "--key"):
        if _is_given(options, name):
            # It is made when the service starts, so no file can be given to it before.
            raise click.UsageError(f"{name} needs a --user who can read the file")


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise click.UsageError(f"--site-dir must be absolute in a unit, not {path!r}")
    return path


def _checked_user(user: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", user):
        raise click.UsageError(f"{user!r} is no name of a user")
    return user


def _quoted(word: str) -> str:
    """Return *word* as systemd reads it as one word, without a specifier or a variable in it."""
    if not word.isprintable():
        raise click.UsageError(f"{word!r} cannot stand in a unit")
    literal = word if word.startswith("%S/") else word.replace("%", "%%")
    literal = literal.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return literal if re.fullmatch(r"[\w%$@+=:,./-]+", literal) else f'"{literal}"'
