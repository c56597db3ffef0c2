"""The fake LM as a process that can be killed, frozen and started again at the same address."""

import json
import os
import signal
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from services.local.health import http_answers
from services.local.ports import HOST, free_port
from services.local.processes import Child
from shared.lm.fake import FAULTS

START_TIMEOUT_S = 60.0
LATENCY_S = 0.25


@dataclass
class LM:
    """One fake LM server."""

    name: str
    folder: Path
    seed: int
    port: int = field(default_factory=free_port)
    child: Child | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @property
    def served(self) -> Path:
        """Its account of the calls that it served."""
        return self.folder / f"{self.name}.served"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        options = ["--port", str(self.port), "--latency", str(LATENCY_S), "--spread", "0.5", "--seed", str(self.seed)]
        command = [sys.executable, "-m", "shared.lm.fake", *options, "--served", str(self.served)]
        self.child = Child.start(self.name, command, log=self.folder / f"{self.name}.log")
        self.child.wait_ready(lambda: http_answers(f"{self.url}/health"), START_TIMEOUT_S)

    def faults(self, **rates: float) -> None:
        """What goes wrong from now on."""
        order = urllib.request.Request(self.url + FAULTS, json.dumps(rates).encode())  # noqa: S310 - our own server
        urllib.request.urlopen(order, timeout=10).close()  # noqa: S310 - the same

    def freeze(self) -> None:
        """From now on it accepts calls and says nothing."""
        if self.child:
            os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        if self.child:
            os.kill(self.child.pid, signal.SIGCONT)

    def kill(self) -> None:
        """It is gone."""
        if self.child:
            self.child.kill()
            self.child = None
