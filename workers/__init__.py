"""The worker processes: one module per queue."""
