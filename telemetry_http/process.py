"""telemetry_server: the service in a process of its own, for programs that start it themselves."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from typing import Any

from telemetry_http import settings

log = logging.getLogger(__name__)


def telemetry_server(  # noqa: PLR0917  # likewise
    site_dir: str | os.PathLike[str] | None = None,
    host: str | None = None,
    port: int | None = None,
    auto_start: bool = True,  # noqa: FBT001, FBT002  # the old server's signature
    access_logs: Any = None,
    verbose: bool = False,  # noqa: FBT001, FBT002  # likewise
) -> multiprocessing.Process:
    """
    Return a daemon process that serves the site directory; it ends when its parent does.

    What is not given comes from the environment, then from the defaults; so does the token,
    `TELEMETRY_TOKEN`, without which only this machine is served. It is started unless
    *auto_start* is false; `is_alive`, `terminate` and `join` are the process's own. It answers
    some tenths of a second later: `TelemetryClient.ready()` tells when.
    """
    context: Any = multiprocessing.get_context()
    parent_end, child_end = context.Pipe(duplex=False)
    process: multiprocessing.Process = context.Process(
        target=_serve,
        args=(
            os.fspath(site_dir if site_dir is not None else settings.site_dir()),
            settings.host() if host is None else host,
            settings.port() if port is None else port,
            parent_end,
            child_end,
        ),
        kwargs={"access_log": bool(access_logs), "verbose": verbose},
        name="telemetry-server",
        daemon=True,
    )
    # The parent's end of the pipe lives as long as the process object: when the parent dies in
    # whatever way, the system closes it and the child reads the end of the file.
    process.telemetry_lifeline = child_end  # type: ignore[attr-defined]
    if auto_start:
        process.start()
    return process


def _serve(
    site_dir: str,
    host: str,
    port: int,
    lifeline: Any,
    other_end: Any,
    *,
    access_log: bool,
    verbose: bool,
) -> None:
    from telemetry_core import Plugins
    from telemetry_http.server import run_service
    from telemetry_http.service import TelemetryService
    from telemetry_http.tokens import read_tokens

    # A copy of the parent's end in this process would keep the pipe open for ever.
    other_end.close()
    if verbose:
        logging.basicConfig(level=logging.INFO)
    plugins = Plugins()
    plugins.load_installed()
    with TelemetryService(site_dir, plugins=plugins) as service:
        watch = threading.Thread(target=_watch, args=(lifeline, service), daemon=True)
        run_service(
            service,
            host=host,
            port=port,
            tokens=read_tokens(),
            on_ready=lambda _: watch.start(),
            access_log=access_log,
        )


def _watch(lifeline: Any, service: Any) -> None:
    """Ask the service to stop when the parent is gone."""
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        log.info("the parent process is gone")
    service.request_shutdown()
