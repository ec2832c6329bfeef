"""The `telemetry` command; other packages add sub-commands by `telemetry_register_commands`."""

import sys


def main() -> None:
    """Run the `telemetry` command with the arguments of this process, and end the process."""
    try:
        from telemetry_core.cli.group import make_cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("the telemetry command needs click and rich: pip install 'telemetry_core[cli]'")
    make_cli().main(prog_name="telemetry")
