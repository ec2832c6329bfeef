"""`telemetry plugins`: what is installed, and why something is not active."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from telemetry_core.cli.output import is_terminal, print_json, print_rows
from telemetry_core.cli.registered import collectors, storages

if TYPE_CHECKING:
    from telemetry_core.plugins import Plugins


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def list_plugins(plugins: Plugins, *, as_json: bool) -> None:
    """List plugins, storages and collectors."""
    kinds = storages(plugins)
    sources = collectors(plugins)
    described = describe(plugins)
    if as_json:
        print_json(
            {
                "plugins": described,
                "storages": [{"scheme": each.scheme, "summary": each.summary} for each in kinds],
                "collectors": [{"name": each.name, "summary": each.summary} for each in sources],
            }
        )
        return
    print_rows(
        ["plugin", "distribution", "version", "state", "hooks"],
        [
            [
                each["name"],
                each["distribution"],
                each["version"],
                "active" if each["active"] else f"not active: {each['reason']}",
                (", " if is_terminal() else ",").join(each["hooks"]),
            ]
            for each in described
        ],
    )
    print_rows(
        ["what", "name", "summary"],
        [
            *(["storage", each.scheme, each.summary] for each in kinds),
            *(["collector", each.name, each.summary] for each in sources),
        ],
    )


def describe(plugins: Plugins) -> list[dict[str, Any]]:
    """Return what became of each plugin, our own first, as it is shown."""
    from telemetry_core import __version__
    from telemetry_core.plugins import DEFAULT_PLUGINS

    own = [
        {
            "name": name,
            "distribution": "telemetry_core",
            "version": __version__,
            "active": True,
            "reason": None,
            "hooks": _hooks(plugins, name),
        }
        for name in DEFAULT_PLUGINS
    ]
    installed = [
        {
            "name": report.name,
            "distribution": report.distribution,
            "version": report.version,
            "active": report.reason is None,
            "reason": report.reason,
            "hooks": list(report.hooks),
        }
        for report in plugins.reports
    ]
    return own + installed


def _hooks(plugins: Plugins, name: str) -> list[str]:
    plugin = plugins.manager.get_plugin(name)
    return sorted(caller.name for caller in plugins.manager.get_hookcallers(plugin) or ())
