"""The commands that this package adds to `telemetry`, one module each."""
