"""A telemetry plugin that records the machine it runs on."""
