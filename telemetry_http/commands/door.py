"""The door of the service: where it is, who may come in, and the options that say so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from telemetry_core.cli.exits import IN_USE, USAGE, CommandError
from telemetry_http.commands.target import given_on_command_line, service_options
from telemetry_http.errors import AddressInUseError, AddressRefusedError, TokenError

if TYPE_CHECKING:
    from telemetry_http.app import Access
    from telemetry_http.authorities import Authority
    from telemetry_http.listening import Listening
    from telemetry_http.server import TLS
    from telemetry_http.tokens import Tokens

_PATH = click.Path(dir_okay=False)


@frozen(kw_only=True)
class Door:
    """Where the service is to be reached, and by whom, as the user wants it."""

    host: str
    port: int
    unix: str | None
    access: Access
    tls: TLS | None
    idle_s: float

    @contextmanager
    def open(self) -> Iterator[Listening]:
        """
        Listen there until the end of the block.

        Raises:
            CommandError: Nobody can.
        """
        from telemetry_http.listening import bind, bind_unix

        place = f"port {self.port} of {self.host!r}" if self.unix is None else repr(self.unix)
        with ExitStack() as stack:
            try:
                if self.unix is None:
                    opened = bind(self.host, self.port, has_tokens=bool(self.access.tokens))
                    listening = stack.enter_context(opened)
                else:
                    listening = stack.enter_context(bind_unix(self.unix))
            except AddressRefusedError as error:
                raise CommandError(str(error), USAGE) from error
            except AddressInUseError as error:
                raise CommandError(str(error), IN_USE) from error
            except OSError as error:
                raise CommandError(f"cannot listen on {place}: {error}") from error
            yield listening


def door_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a service to be started, as its first argument `door`."""

    @service_options
    @click.option(
        "--unix", type=_PATH, metavar="PATH", help="Listen on this socket instead of on a port."
    )
    @click.option(
        "--token-file",
        type=_PATH,
        metavar="FILE",
        help="Ask for a token: each line is read, write or admin, and a token.",
    )
    @click.option("--certificate", type=_PATH, metavar="FILE", help="Serve HTTPS with this chain.")
    @click.option("--key", type=_PATH, metavar="FILE", help="The key of the certificate.")
    @click.option(
        "--allow-host",
        "hosts",
        metavar="HOST",
        multiple=True,
        help="Answer for this name too, as a proxy or a user calls it (repeatable).",
    )
    @click.option(
        "--cors-origin",
        "origins",
        metavar="ORIGIN",
        multiple=True,
        help="Let pages of this origin ask, such as https://example.org (repeatable).",
    )
    @click.option(
        "--idle-timeout",
        "idle_s",
        type=click.FloatRange(min=0, min_open=True),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Close a connection on which nothing was asked for so long.",
    )
    @functools.wraps(command)
    def with_door(  # noqa: PLR0917  # click calls it by keyword
        host: str,
        port: int,
        unix: str | None,
        token_file: str | None,
        certificate: str | None,
        key: str | None,
        hosts: tuple[str, ...],
        origins: tuple[str, ...],
        idle_s: float,
        **options: Any,
    ) -> Any:
        if unix is not None and {"host", "port", "certificate"} & given_on_command_line():
            raise click.UsageError("--unix goes without --host, --port and --certificate")
        from telemetry_http.server import access_at

        door = Door(
            host=host,
            port=port,
            unix=unix,
            access=access_at(
                host if unix is None else "localhost",
                tokens=_tokens(token_file),
                hosts=[_host(each) for each in hosts],
                origins=[_origin(each) for each in origins],
            ),
            tls=_tls(certificate, key),
            idle_s=idle_s,
        )
        return command(door, **options)

    return with_door


def _tokens(path: str | None) -> Tokens:
    from telemetry_http.tokens import read_tokens

    try:
        return read_tokens(path)
    except TokenError as error:
        raise CommandError(str(error), USAGE) from error
    except OSError as error:
        raise CommandError(f"cannot read {path!r}: {error.strerror}", USAGE) from error


def _tls(certificate: str | None, key: str | None) -> TLS | None:
    from telemetry_http.server import TLS

    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    if certificate is None or key is None:
        return None
    tls = TLS(certificate, key)
    try:
        tls.check()
    except OSError as error:
        message = f"cannot use the certificate {certificate!r} with the key {key!r}: {error}"
        raise CommandError(message, USAGE) from error
    return tls


def _host(text: str) -> Authority:
    from telemetry_http.authorities import read_host

    host = read_host(text)
    if host is None:
        raise click.UsageError(f"--allow-host takes a name or an address, not {text!r}")
    return host


def _origin(text: str) -> str:
    from telemetry_http.authorities import read_origin

    if read_origin(text) is None or text != text.lower() or text.endswith("/"):
        raise click.UsageError(
            f"--cors-origin takes an origin as browsers send it, 'https://example.org', not"
            f" {text!r}"
        )
    return text
