"""A whole installation in which a run is worked on while harm is done to it."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
import yaml

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from services.local.worker_pools import WorkerPool
from shared.store.migrate import upgrade
from shared.store.session import make_engine
from tests.chaos.lm import LM
from tests.chaos.proxy import Proxy
from tests.chaos.workers import Worker, Workers
from tests.e2e.stack import ROOT, a_job, all_queues

PATIENCE_S = 420.0  # for a run to end, whatever is done to it
DRAIN_S = 90.0  # for what was under way at its end
STEP_S = 0.05
MODELS = ("base", "chat")
QUEUES = all_queues(MODELS)
THREADS = 8
TIMEOUT_S = 3.0  # of an LM call


@dataclass
class World:
    """The parts, and what a schedule of harm needs to know."""

    folder: Path
    postgres: Postgres
    valkey: Valkey
    proxy: Proxy
    lms: Mapping[str, Sequence[LM]]
    chance: random.Random
    workers: Workers = field(default_factory=Workers)
    run_id: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Where the services are. The workers meet the broker through the proxy."""
        broker = self.valkey.url.replace(f":{self.valkey.port}/", f":{self.proxy.port}/")
        return {"DATABASE_URL": self.postgres.url, "REDIS_URL": broker, "LEASE_SLACK_S": "2"}

    def add_worker(self, *queues: str, code: Path = ROOT, **environment: str) -> Worker:
        """One more worker, on all queues unless some are named; it is started when the world turns."""
        pool = WorkerPool(f"w{len(self.workers.places)}", queues or QUEUES, THREADS)
        self.workers.places.append(Worker(pool, self.folder, {**self.environment, **environment}, code))
        return self.workers.places[-1]

    def enqueue(self, targets: dict[str, int], **stages: Any) -> None:
        """Begin a run."""
        models = {
            name: {
                "protocol": "tgi" if name == "base" else "openai",
                "kind": "vanilla" if name == "base" else "instruct",
                "endpoints": [lm.url for lm in self.lms[name]],
                "timeout_s": TIMEOUT_S,
                "max_in_flight": 8,
            }
            for name in MODELS
        }
        job = self.folder / "job.yaml"
        job.write_text(yaml.safe_dump(a_job(models, targets, retry={"backoff_s": 0.2, "backoff_cap_s": 5}, **stages)))
        self.run_id = self.command("enqueue", str(job)).strip()

    def command(self, *arguments: str, code: int = 0) -> str:
        """What `ensemble-instruct` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "services.admin.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment, "REDIS_URL": self.valkey.url},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self, query: str) -> list[Any]:
        """All rows of a query about the run (`%(run)s`)."""
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            return connection.execute(query, {"run": self.run_id}).fetchall()

    def state(self) -> str:
        """The run's state, or `unknown` while the database is away."""
        try:
            return str(self.rows("SELECT state FROM runs WHERE id = %(run)s")[0][0])
        except psycopg.Error:
            return "unknown"

    def turn_until(self, what: str, come: Callable[[], bool], patience_s: float, *harms: Generator[float]) -> float:
        """Let time pass until something has come true, doing harm at the times that each schedule asks for.

        Returns the seconds that it took.
        """
        began = asked = time.monotonic()
        due = dict.fromkeys(harms, began)
        try:
            while True:
                now = time.monotonic()
                if now - asked > 0.5:
                    asked = now
                    if come():
                        return now - began
                assert now - began < patience_s, f"{what}: not within {patience_s:g} s\n{self.told()}"
                self.workers.look()
                for harm in [harm for harm, at in due.items() if at <= now]:
                    pause_s = next(harm, None)
                    if pause_s is None:
                        del due[harm]
                    else:
                        due[harm] = time.monotonic() + pause_s
                time.sleep(STEP_S)
        finally:
            for harm in harms:
                harm.close()

    def wait_for_the_end(self, *harms: Generator[float]) -> float:
        """Until the run has ended; returns the seconds that it took."""
        return self.turn_until("the run's end", lambda: self.state() not in ("running", "unknown"), PATIENCE_S, *harms)

    def calm(self) -> None:
        """No more harm: what is down comes back."""
        self.proxy.swallows = self.proxy.doubles = False
        self.workers.supervised = True
        if not (self.valkey.child and self.valkey.child.alive):
            self.valkey.start()
        if not (self.postgres.child and self.postgres.child.alive):
            self.postgres.start()

    def toll(self) -> str:
        """What the harm cost, in words."""
        ((crashes, failures, timeouts, overloads, dead),) = self.rows(
            "SELECT sum(crashes), sum(failures), sum(timeouts), sum(overloads),"
            " count(*) FILTER (WHERE state = 'failed')"
            " FROM work_items WHERE run_id = %(run)s"
        )
        return (
            f"{self.workers.started} workers started, {self.proxy.doubled} messages doubled; crashes {crashes}, "
            f"failures {failures}, timeouts {timeouts}, overloads {overloads}, given up {dead}"
        )

    def drain(self) -> float:
        """Until nothing is under way and no message is left."""
        return self.turn_until("an empty stack", self._is_empty, DRAIN_S)

    def _is_empty(self) -> bool:
        query = "SELECT count(*) FROM work_items WHERE run_id = %(run)s AND state IN ('ready', 'leased')"
        return self.rows(query) == [(0,)] and self.messages() == 0

    def all_lms(self) -> list[LM]:
        """Every server of every model."""
        return [lm for of_model in self.lms.values() for lm in of_model]

    def messages(self) -> int:
        """How many messages lie in the broker's queues."""
        with redis.Redis.from_url(self.valkey.url) as client:
            return sum(client.llen(queue) for queue in QUEUES)

    def audit(self) -> dict[str, Any]:
        """What the auditor finds, the LMs' own accounts of what they served at hand."""
        accounts = [lm.served for lm in self.all_lms() if lm.served.exists()]
        served = [part for path in accounts for part in ("--served", str(path))]
        done = subprocess.run(
            [sys.executable, "-m", "services.admin.main", "audit", self.run_id, "--json", *served],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def told(self) -> str:
        """All there is to know when something has not come."""
        try:
            status = self.command("status", self.run_id)
            work = self.rows(
                "SELECT stage, state, count(*), min(ready_at) - now(), max(lease_expires_at) - now() FROM work_items"
                " WHERE run_id = %(run)s GROUP BY 1, 2 ORDER BY 1, 2"
            )
        except (psycopg.Error, AssertionError) as error:
            status, work = f"no status: {error}", []
        return "\n".join([status, *map(str, work), self.workers.logs()])


@contextmanager
def a_world(folder: Path, seed: str, *, endpoints: Mapping[str, int] | None = None) -> Iterator[World]:
    """Everything started but the workers; nothing left afterwards."""
    chance = random.Random(seed)
    with ExitStack() as parts:
        postgres = parts.enter_context(Postgres(folder / "postgres", fast=True))
        valkey = parts.enter_context(Valkey(folder / "valkey"))
        proxy = parts.enter_context(Proxy(valkey.port))
        counts = dict.fromkeys(MODELS, 1) | dict(endpoints or {})
        lms = {
            name: [LM(f"{name}-{number}", folder, chance.randrange(1 << 30)) for number in range(count)]
            for name, count in counts.items()
        }
        world = World(folder, postgres, valkey, proxy, lms, chance)
        for lm in world.all_lms():
            parts.callback(lm.kill)
            lm.start()
        engine = make_engine(postgres.url)
        upgrade(engine)
        engine.dispose()
        parts.callback(world.workers.stop)
        yield world
