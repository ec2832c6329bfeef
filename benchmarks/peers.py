"""Other people's servers to compare with; one that is not installed is told and left out."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.servers import connect, free_port, receive, request, serving

INFLUX = "InfluxDB 1.x, line protocol"
VICTORIA = "VictoriaMetrics, line protocol"
OLD_STACK = "FastAPI on uvicorn, the same recorder"

_OLD_APP = """
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

import telemetry_core
from telemetry_core.codec import event_dict

recorder = telemetry_core.open(sys.argv[2])
app = FastAPI()


class EventRequest(BaseModel):
    type: str
    data: Any
    make_current: bool = True
    store_permanently: bool = True
    meta: dict[str, Any] = Field(default_factory=dict)


@app.post("/event")
async def post_event(wanted: EventRequest) -> dict[str, Any]:
    return event_dict(recorder.record(**wanted.model_dump()))


uvicorn.run(app, port=int(sys.argv[1]), access_log=False, http="h11", loop="asyncio", ws="none")
"""


@contextmanager
def influx(directory: Path) -> Iterator[tuple[int, int] | None]:
    """Serve an empty database called `bench`: its pid and port, or `None` without InfluxDB."""
    if not _is_installed("influxd", "influxdb"):
        yield None
        return
    port = free_port()
    environment = {
        "INFLUXDB_META_DIR": str(directory / "meta"),
        "INFLUXDB_DATA_DIR": str(directory / "data"),
        "INFLUXDB_DATA_WAL_DIR": str(directory / "wal"),
        "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "INFLUXDB_HTTP_LOG_ENABLED": "false",
        "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
        "INFLUXDB_REPORTING_DISABLED": "true",
        "INFLUXDB_MONITOR_STORE_ENABLED": "false",
    }
    with serving(["influxd", "run", "-config", "/dev/null"], port, environment) as pid:
        with connect(port) as connection:
            create = quote("CREATE DATABASE bench")
            connection.sendall(request("POST", f"/query?q={create}", port))
            receive(connection)
        yield pid, port


@contextmanager
def victoria(directory: Path) -> Iterator[tuple[int, int] | None]:
    """Serve an empty store: its pid and port, or `None` without VictoriaMetrics."""
    if not _is_installed("victoria-metrics", "victoria-metrics"):
        yield None
        return
    port = free_port()
    options = (f"-storageDataPath={directory}", f"-httpListenAddr=127.0.0.1:{port}")
    with serving(["victoria-metrics", *options, "-retentionPeriod=100y"], port) as pid:
        yield pid, port


@contextmanager
def old_stack(directory: Path) -> Iterator[tuple[int, int] | None]:
    """Serve our recorder as the service before this one did: its pid and port, or `None`."""
    if importlib.util.find_spec("fastapi") is None:
        print("\nfastapi is not installed, so the old stack is left out")
        yield None
        return
    port = free_port()
    with serving([sys.executable, "-c", _OLD_APP, str(port), str(directory)], port) as pid:
        yield pid, port


def line_protocol(data: Mapping[str, Any], first_ms: int, lines: int) -> bytes:
    """Return *lines* points with the fields of *data*, a millisecond apart."""
    fields = ",".join(f"{name}={_field(value)}" for name, value in data.items())
    return "".join(
        f"weather {fields} {(first_ms + number) * 1_000_000}\n" for number in range(lines)
    ).encode()


def _field(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(float(value))


def _is_installed(program: str, package: str) -> bool:
    is_there = shutil.which(program) is not None
    if not is_there:
        print(f"\n{program} is not installed (Debian package {package}), so it is left out")
    return is_there
