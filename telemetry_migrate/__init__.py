"""Bring existing telemetry archives into a telemetry storage."""
