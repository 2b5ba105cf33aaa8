"""Saying what the agent does: status file, metrics, service manager."""
