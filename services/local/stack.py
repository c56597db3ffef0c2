"""The embedded stack's front door: what the command line uses."""

from services.local.background import PartStatus, State, down, running, status, temporary_postgres, up
from services.local.stack_info import StackInfo
from services.local.whole_stack import Stack
from services.local.worker_pools import WorkerPool

__all__ = [
    "PartStatus",
    "Stack",
    "StackInfo",
    "State",
    "WorkerPool",
    "down",
    "running",
    "status",
    "temporary_postgres",
    "up",
]
