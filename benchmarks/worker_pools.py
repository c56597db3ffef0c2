"""How busy each of Celery's pools keeps the slots of an LM server, with our streams in it.

`python benchmarks/worker_pools.py [--slots 64] [--latency 1.0] [--seconds 20] [--out FILE]`

Real Postgres, real Valkey, one real worker process on all queues, and the fake LM with a latency of ± 30 %. The
share of busy slots is the mean number of calls in flight over the slots, in the steady state.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.job import JobSpec
from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeRequest
from shared.queue.app import make_app
from shared.store.migrate import upgrade
from shared.store.runs import end_run
from shared.store.session import make_engine, make_sessions
from shared.store.tables.runs import RunState

QUEUES = "instructions,instances,outputs.lm,consensus,control"
POOLS = {
    "threads -c 4": ["--pool", "threads", "-c", "4"],
    "threads -c 1": ["--pool", "threads", "-c", "1"],
    "solo": ["--pool", "solo"],
}
WARM_UP_S = 6.0
EVERY_S = 0.02


def job(url: str, slots: int) -> JobSpec:
    """A job that is far from its end, whatever the pool."""
    return JobSpec.model_validate(
        {
            "name": "pools",
            "targets": {"input_output": 100_000, "output_only": 100_000},
            "models": {"lm": {"protocol": "tgi", "kind": "vanilla", "endpoints": [url], "max_in_flight": slots}},
            "instructions": {"model": "lm", "lookahead": 2 * slots},
            "instances": {"model": "lm"},
            "outputs": [{"model": "lm"}],
        }
    )


def busy_share(server: FakeServer, slots: int, seconds: float) -> float:
    """The mean share of slots in use over `seconds`."""
    seen = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen.append(server.in_flight)
        time.sleep(EVERY_S)
    return sum(seen) / len(seen) / slots


def measure(folder: Path, pool: list[str], slots: int, latency: float, seconds: float) -> dict[str, float]:
    """One pool: the share of busy slots, and calls a second."""
    chance = random.Random(0)

    def varied(_: FakeRequest) -> float:
        return latency * chance.uniform(0.7, 1.3)

    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres(folder / "postgres"))
        valkey = stack.enter_context(Valkey(folder / "valkey"))
        server = stack.enter_context(FakeServer(latency=varied, record=True))
        engine = make_engine(postgres.url)
        stack.callback(engine.dispose)
        upgrade(engine)
        with make_sessions(engine)() as session:
            run_id = start_run(session, make_app(valkey.url), plan_job(job(server.url, slots))).id
        worker = start_worker(folder / "worker.log", pool, postgres.url, valkey.url)
        stack.callback(stop, worker)
        wait_for_calls(server)
        time.sleep(WARM_UP_S)
        before = len(server.requests)
        share = busy_share(server, slots, seconds)
        calls = len(server.requests) - before
        with make_sessions(engine).begin() as session:
            end_run(session, run_id, RunState.CANCELLED, "measured")
    return {"busy": share, "calls_per_s": calls / seconds}


def wait_for_calls(server: FakeServer, patience_s: float = 60) -> None:
    """Wait until the first call has come."""
    until = time.monotonic() + patience_s
    while not server.requests:
        if time.monotonic() > until:
            raise TimeoutError("the worker made no call")
        time.sleep(EVERY_S)


def start_worker(log: Path, pool: list[str], database_url: str, redis_url: str) -> subprocess.Popen[bytes]:
    """A worker on all queues."""
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", QUEUES, *pool]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """End a worker, by force if it has to be."""
    worker.terminate()
    try:
        worker.wait(20)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def main() -> None:
    """Measure every pool in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    figures = {}
    table = Table("pool", "busy slots", "calls/s")
    for name, pool in POOLS.items():
        with tempfile.TemporaryDirectory(prefix="pools-") as folder:
            figure = measure(Path(folder), pool, arguments.slots, arguments.latency, arguments.seconds)
        figures[name] = figure
        table.add_row(name, f"{figure['busy']:.1%}", f"{figure['calls_per_s']:.0f}")
    Console().print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
