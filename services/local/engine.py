"""llama.cpp in this process, with its own HTTP server: the one place that knows `xllamacpp`."""

import argparse
import os
import signal
import sys
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from services.local.ports import HOST
from shared.errors import WorldError

WARNINGS = 2  # llama.cpp's verbosity; 3 adds nine lines for every request
KEPT_PREFIXES_MIB = 256  # of memory; 500 tokens of the larger LM take 14
# llama.cpp's threads meet after every step, and by default spin until all are there. Where others need the cores
# too, that took twice the CPU (236 s against 124 for the same requests).
SPINS = "1000"
HTTP_THREADS = 64  # a waiting request holds one; with llama.cpp's few, a health check would wait behind them


class NoEngine(WorldError):
    """llama.cpp can't be loaded ({detail}); run `make setup`, or: pip install 'ensemble-instruct[local]'"""


class EngineFailed(WorldError):
    """llama.cpp can't serve {model}: {detail}"""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What to serve, and how.

    `context` is the tokens, prompt and answer together, that *each* of the `parallel` slots has room for.
    `port` 0 lets the system choose one.
    """

    model: Path
    name: str
    port: int
    parallel: int
    context: int
    threads: int
    host: str = HOST

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Self:
        """The settings among what `argument_parser` parsed."""
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of the settings' command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--name", required=True, help="what clients call the model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=HOST, help=f"the address to listen on, by default {HOST}: this machine alone")
    parser.add_argument("--parallel", type=int, default=2, help="requests that are served at once")
    parser.add_argument("--context", type=int, default=4096, help="tokens of prompt and answer for each of them")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


class Engine:
    """A loaded model behind llama.cpp's HTTP server at `address`."""

    def __init__(self, settings: EngineSettings) -> None:
        """Load and serve; raises NoEngine, EngineFailed."""
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when the library is loaded
        try:
            import xllamacpp
        except ImportError as error:  # not installed, or a library of the system is missing, such as libgomp
            raise NoEngine(detail=error) from None
        self.build = f"llama.cpp, xllamacpp {xllamacpp.__version__}"
        try:
            self._server = xllamacpp.Server(_parameters(xllamacpp, settings))
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(model=settings.model, detail=error) from error
        self.address: str = self._server.listening_address


def _parameters(xllamacpp: Any, settings: EngineSettings) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(settings.model)
    parameters.model_alias = {settings.name}
    parameters.hostnames = [settings.host]
    parameters.port = settings.port
    parameters.n_threads_http = HTTP_THREADS
    parameters.n_parallel = settings.parallel
    parameters.n_ctx = settings.context * settings.parallel
    parameters.cpuparams.n_threads = settings.threads
    parameters.cpuparams_batch.n_threads = settings.threads
    parameters.swa_full = True  # else Gemma, most of whose layers see 512 tokens back, never reuses a prefix
    parameters.cache_ram_mib = KEPT_PREFIXES_MIB  # beside those in the slots; llama.cpp's default is 8 GB
    parameters.fit_params = False  # the context that was asked for, or an error
    parameters.verbosity = WARNINGS
    parameters.endpoint_metrics = True
    parameters.ui = False
    parameters.cors_origins = ""
    return parameters


def leave() -> None:
    """End this process at once with status 0: llama.cpp's own way out waits for answers under way."""
    sys.stderr.flush()
    os._exit(0)


def leave_on_signal() -> None:
    """Wait for SIGTERM or SIGINT, then leave."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()
    leave()
