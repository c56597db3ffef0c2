"""The two LMs of the embedded stack, each served by a process of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.local.health import http_answers
from services.local.ports import HOST, free_port, keep_port, kept_port
from services.local.processes import Child, NotReady
from services.local.weights import GEMMA as GEMMA_WEIGHTS
from services.local.weights import QWEN as QWEN_WEIGHTS
from services.local.weights import Weights, obtain

ATTEMPTS = 3
START_TIMEOUT_S = 120.0  # a cold disk reads the larger weights slowly


@dataclass(frozen=True, slots=True)
class ServedModel:
    """An LM and how it is served.

    `names` are what jobs call it. `parallel` requests run at once, each with room for `context` tokens of prompt
    and answer, on `threads` cores.
    """

    title: str
    names: tuple[str, ...]
    weights: Weights
    protocol: str
    parallel: int
    context: int
    threads: int

    @property
    def module(self) -> str:
        """The program that serves it."""
        return {"tgi": "services.local.tgi_server", "openai": "services.local.llama_server"}[self.protocol]

    def command(self, path: Path, port: int, host: str = HOST) -> list[str]:
        """What is run to serve it from the weights at `path`."""
        options = {
            "model": path,
            "name": self.title,
            "host": host,
            "port": port,
            "parallel": self.parallel,
            "context": self.context,
            "threads": self.threads,
        }
        if self.protocol == "tgi":
            options["revision"] = self.weights.sha256
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return [sys.executable, "-m", self.module, *arguments]


# Qwen does nearly all the work, so it gets both cores of a small machine. More threads than that would only
# wait for each other, spinning. It has a slot for each beginning that the demo's prompts have, so that none is
# read twice.
GEMMA = ServedModel("gemma-3-270m", ("gemma",), GEMMA_WEIGHTS, "tgi", parallel=2, context=4096, threads=1)
QWEN = ServedModel(
    "qwen2.5-coder-1.5b-instruct", ("qwen", "qwen-chat"), QWEN_WEIGHTS, "openai", parallel=6, context=3072, threads=2
)
MODELS = (GEMMA, QWEN)


class LanguageModelServer:
    """One served LM: `launch`, then `wait`, then `stop`.

    Started again over the same `port_file`, it has the same address, if nobody took the port.
    """

    def __init__(self, model: ServedModel, weights_folder: Path, log: Path, port_file: Path) -> None:
        self.model, self.log = model, log
        self.port = 0
        self.child: Child | None = None
        self._folder, self._port_file = weights_folder, port_file

    @property
    def url(self) -> str:
        """The server's base address."""
        return f"http://{HOST}:{self.port}"

    def launch(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Join the weights if need be and start the process, without waiting for it; raises as `obtain` does."""
        path = obtain(self.model.weights, self._folder, report)
        self.port = self.port or kept_port(self._port_file)
        environment = {"HEALTH_ADDRESS": ""}  # the user's is for one process of the user's
        command = self.model.command(path, self.port)
        self.child = Child.start(self.model.title, command, log=self.log, environment=environment)

    def wait(self) -> None:
        """Wait until it answers; raises NotReady."""
        for attempt in range(1, ATTEMPTS + 1):
            if self.child is None:
                self.launch()
            try:
                self._wait_once()
                keep_port(self._port_file, self.port)
                break
            except NotReady as error:
                self.stop()
                if attempt == ATTEMPTS or "bind" not in str(error):
                    raise
                self.port = free_port()  # someone took the other meanwhile

    def start(self) -> Self:
        """Launch it and wait."""
        self.launch()
        self.wait()
        return self

    def stop(self) -> None:
        """End it; answers under way are cut."""
        if self.child:
            self.child.stop(timeout_s=5)
            self.child = None

    def _wait_once(self) -> None:
        if self.child:
            self.child.wait_ready(lambda: http_answers(f"{self.url}/health"), START_TIMEOUT_S)
