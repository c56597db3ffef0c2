"""Worker processes under a supervisor: whatever ends is started again, as Kubernetes would."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.local.processes import Child, stop_together
from services.local.worker_pools import WorkerPool

STOP_S = 30.0
AGAIN_S = 0.5  # after a worker has ended


@dataclass
class Worker:
    """A place for one worker process after the other."""

    pool: WorkerPool
    folder: Path
    environment: Mapping[str, str]
    code: Path
    children: list[Child] = field(default_factory=list)
    ended_at: float = 0.0

    @property
    def child(self) -> Child:
        """The process that there is, or was last."""
        return self.children[-1]

    def start(self) -> None:
        """Start one more process."""
        log = self.folder / f"{self.pool.name}-{len(self.children)}.log"
        environment = {"PYTHONPATH": str(self.code), **self.environment}
        self.children.append(
            Child.start(
                f"worker {self.pool.name}", self.pool.command, log=log, folder=self.code, environment=environment
            )
        )

    def kill(self) -> None:
        """End it as a crash would."""
        if self.children and self.child.alive:
            self.child.kill()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self.children and self.child.alive:
            os.kill(self.child.pid, signal.SIGTERM)


@dataclass
class Workers:
    """All workers. While `supervised`, those that end are started again."""

    places: list[Worker] = field(default_factory=list)
    supervised: bool = True

    def look(self) -> None:
        """Start again what has ended."""
        for each in self.places:
            if not each.children:
                each.start()
            elif not each.child.alive:
                each.ended_at = each.ended_at or time.monotonic()
                if self.supervised and time.monotonic() - each.ended_at > AGAIN_S:
                    each.ended_at = 0.0
                    each.start()

    def alive(self) -> list[Worker]:
        """Those that run."""
        return [each for each in self.places if each.children and each.child.alive]

    def stop(self) -> None:
        """End them all in order."""
        self.supervised = False
        stop_together([each.child for each in self.alive()], STOP_S)

    def logs(self) -> str:
        """The ends of the newest logs."""
        logs = [each.child.log for each in self.places if each.children]
        return "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-2500:]}" for log in logs)

    @property
    def started(self) -> int:
        """How many processes there were."""
        return sum(len(each.children) for each in self.places)
