"""The telemetry recorder as an HTTP service, and its client."""
