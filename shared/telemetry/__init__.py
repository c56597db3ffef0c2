"""How a process says how it is: logs, metrics, health, traces, and events of its runs."""
