"""The broker: hints that there is work, never the work itself."""
