"""Real worker processes, started as the README starts them, and surely ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine, text

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DEADLINE_S = 120.0  # generous: the machine may be busy with other things
POLL_S = 0.1


@dataclass
class Worker:
    """A `celery -A workers.app worker` process."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(DEADLINE_S)


@dataclass
class Stack:
    """Where the parts are, the workers that were started, and the database to look at."""

    engine: Engine
    environment: dict[str, str]
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    def start(self, *queues: str, concurrency: int = 4, options: Sequence[str] = ()) -> Worker:
        """Start a worker on these queues, with further `options` if there are any."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        command = [str(BIN / "celery"), "-A", "workers.app", "worker", "-Q", ",".join(queues)]
        named = ["-c", str(concurrency), "-n", f"w{len(self.workers)}@%h"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *named, *options], cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def command(self, *arguments: str) -> str:
        """What `ensemble-instruct` prints."""
        done = subprocess.run(
            [BIN / "ensemble-instruct", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def enqueue(self, job: dict[str, Any]) -> str:
        """The id of a new run of a job."""
        path = self.folder / "job.yaml"
        path.write_text(yaml.safe_dump(job))
        return self.command("enqueue", str(path))

    def rows(self, statement: str, **values: object) -> list[Any]:
        """All rows of a query; plain values where it selects one thing."""
        with self.engine.connect() as connection:
            found = connection.execute(text(statement), values).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in found]

    def wait(self, what: str, come: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
        """Wait until something has come true; tell what the workers said if it does not."""
        until = time.monotonic() + deadline_s
        while not come():
            assert time.monotonic() < until, f"{what}: not within {deadline_s:g} s\n{self.logs()}"
            time.sleep(POLL_S)

    def wait_for_examples(self, count: int) -> None:
        """Until the run has that many examples."""
        self.wait(f"{count} examples", lambda: self.rows("SELECT count(*) FROM examples")[0] >= count)

    def wait_for_the_end(self, run_id: str, deadline_s: float = DEADLINE_S) -> None:
        """Until the run has completed."""
        state = "SELECT state, reason FROM runs WHERE id = :id"
        self.wait("the run's end", lambda: self.rows(state, id=run_id)[0][0] != "running", deadline_s)
        assert self.rows(state, id=run_id) == [("completed", "every target is met")], self.logs()

    def logs(self) -> str:
        """The ends of the workers' logs."""
        return "\n".join(f"{each.log.name}:\n{each.log.read_text()[-3000:]}" for each in self.workers)

    def end(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()


@contextmanager
def a_stack(engine: Engine, database_url: str, redis_url: str, folder: Path, **settings: str) -> Iterator[Stack]:
    """Nothing started yet; everything ended afterwards."""
    addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LEASE_SLACK_S": "1"}
    stack = Stack(engine, {**os.environ, **addresses, **settings}, folder)
    try:
        yield stack
    finally:
        stack.end()


def a_job(models: dict[str, dict[str, Any]], targets: dict[str, int], **stages: Any) -> dict[str, Any]:
    """A job in which the first model proposes and makes, and all of them answer."""
    writer, *_ = models
    few = {"input_output": {"seeds": 3, "generated": 1}, "output_only": {"seeds": 3, "generated": 1}}
    return {
        "name": "small",
        "targets": targets,
        "models": models,
        "instructions": {"model": writer, "demonstrations": few, **stages.pop("instructions", {})},
        "instances": {"model": writer, "demonstrations": {"input_output": 2, "output_only": 2}},
        "outputs": [{"model": name} for name in models],
        **stages,
    }


def all_queues(models: Sequence[str]) -> tuple[str, ...]:
    """Every queue of a job with these models."""
    return ("instructions", "instances", *(f"outputs.{name}" for name in models), "consensus", "control")
