"""Logs, in one place."""
