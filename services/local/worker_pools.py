"""The Celery worker processes of the embedded stack."""

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.local.processes import Child
from shared.queue.app import make_app

START_TIMEOUT_S = 90.0
PING_S = 1.0


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """One worker process with `concurrency` threads, or whatever Celery's `pool` has, for some queues."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    app: str = "workers.app"
    pool: str = "threads"

    @property
    def command(self) -> list[str]:
        """What is run."""
        return [
            *(sys.executable, "-m", "celery", "-A", self.app, "worker", "-Q", ",".join(self.queues)),
            *("--pool", self.pool, "-c", str(self.concurrency), "-n", f"{self.name}@%h", "--loglevel", "INFO"),
        ]

    def start(self, log: Path, folder: Path, environment: Mapping[str, str]) -> Child:
        """Start it, without waiting for it."""
        own = {"HEALTH_ADDRESS": "", **environment}  # the user's is for one process of the user's
        return Child.start(f"worker {self.name}", self.command, log=log, folder=folder, environment=own)


# One for each queue; those of outputs are for the models of jobs/demo.yaml, and any job that calls its so.
POOLS = (
    WorkerPool("instruction-generator", ("instructions",), 2),
    WorkerPool("instance-generator", ("instances",), 2),
    WorkerPool("output-generator-qwen", ("outputs.qwen",), 2),
    WorkerPool("output-generator-qwen-chat", ("outputs.qwen-chat",), 2),
    WorkerPool("output-generator-gemma", ("outputs.gemma",), 2),
    WorkerPool("consensus-judge", ("consensus",), 2),
    WorkerPool("reconciler", ("control",), 2),
)


def answering(redis_url: str, names: set[str], patience_s: float = PING_S) -> set[str]:
    """Those of the named pools on this machine that answer a ping through the broker."""
    node_names = {f"{name}@{socket.gethostname()}": name for name in names}
    app = make_app(redis_url)
    try:
        replies = app.control.ping(destination=list(node_names), timeout=patience_s, limit=len(names))
    except OSError:
        return set()
    finally:
        app.close()
    return {node_names[node] for reply in replies or [] for node in reply if node in node_names}
