"""A collector that reads the machine it runs on: cpu, memory, disk, network, temperature."""

from telemetry_host.collector import telemetry_register_collector

__version__ = "0.1.0"

__all__ = ["telemetry_register_collector"]
