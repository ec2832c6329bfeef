"""Bringing existing telemetry archives into a telemetry storage."""

__version__ = "0.1.0"

__all__: list[str] = []
