"""Everything on one machine: Postgres, Valkey, two LMs and the workers, started together and ended together."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from services.local.home import Home
from services.local.home_lock import HomeLock
from services.local.interruption import endings_raise, undisturbed
from services.local.language_models import MODELS, LanguageModelServer, ServedModel
from services.local.ports import HOST
from services.local.postgres import Postgres
from services.local.processes import Child, stop_together
from services.local.stack_info import Kind, Part, StackInfo, read_info, write_info
from services.local.valkey import Valkey
from services.local.worker_pools import POOLS, START_TIMEOUT_S, WorkerPool, answering
from shared.errors import WorldError
from shared.store.session import make_engine

PATIENCE_S = 30.0  # with a command that has the database for a moment
WORKER_STOP_S = 8.0  # what it has not finished by then, the next start takes up again


class Server(Protocol):
    """A part that others know by its address."""

    child: Child | None

    def start(self) -> object:
        """Start it and wait until it answers."""

    def stop(self) -> None:
        """End it."""


class AlreadyUp(WorldError):
    """The embedded stack is up already (process {pid}); end it with `ensemble-instruct local down`"""


def migrate_to_newest(database_url: str) -> None:
    """Bring the tables of a database up to date."""
    from shared.store.migrate import upgrade  # it takes half a second to load, which every command would wait for

    engine = make_engine(database_url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


class Stack:
    """The embedded stack. As a context manager it stops everything whatever happens: an exception, SIGINT, SIGTERM.

    `report` gets a line for each step, and `of` names the command that it ends with, if any. Data stay in `home`;
    only one stack at a time can use one.
    """

    def __init__(
        self,
        report: Callable[[str], None] = lambda _: None,
        migrate: Callable[[str], None] = migrate_to_newest,
        *,
        home: Home | None = None,
        models: Sequence[ServedModel] = MODELS,
        workers: Sequence[WorkerPool] = POOLS,
        of: str | None = None,
    ) -> None:
        self.home = home or Home.find()
        self._report, self._migrate = report, migrate
        logs = self.home.logs
        self._lock = HomeLock(self.home.lock_file)
        self._postgres = Postgres(self.home.postgres, log=logs / "postgres.log")
        self._valkey = Valkey(self.home.valkey, log=logs / "valkey.log")
        self._models = [
            LanguageModelServer(model, self.home.weights, logs / f"{model.title}.log", self.home.ports / model.title)
            for model in models
        ]
        self._pools = tuple(workers)
        self._of = of
        self._workers: list[tuple[WorkerPool, Child]] = []
        self._started_at = ""
        self._undo = ExitStack()

    @property
    def info(self) -> StackInfo:
        """Addresses and process ids of what runs."""
        return StackInfo(
            pid=os.getpid(),
            started_at=self._started_at,
            database_url=self._postgres.url,
            redis_url=self._valkey.url,
            model_urls={name: server.url for server in self._models for name in server.model.names},
            parts=self._parts(),
            of=self._of,
        )

    def start(self) -> Self:
        """Start all parts and wait until they are ready; raises AlreadyUp, NotReady, and what the parts raise."""
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._take_home()
            self._begin()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all parts, the last one started first. Harmless when nothing runs."""
        with undisturbed():
            self._undo.close()

    def ended(self) -> list[str]:
        """The names of parts that run no more though nobody stopped them."""
        return [child.name for child in self._children() if not child.alive]

    def keep_log(self, name: str) -> Path:
        """Put the log of a part that has ended where its next start doesn't write; returns the path."""
        log = next(child.log for child in self._children() if child.name == name)
        return log.replace(log.with_suffix(".ended.log")) if log.exists() else log

    def start_again(self, name: str) -> None:
        """Start a part that has ended by itself, over the same data and as far as possible at the same address.

        Raises NotReady, and what the parts raise.
        """
        for server in self._servers:
            if server.child and server.child.name == name:
                self._start_server_again(server)
        for number, (pool, child) in enumerate(self._workers):
            if child.name == name:
                self._workers[number] = (pool, self._started(pool))
        write_info(self.home.stack_file, self.info)

    def __enter__(self) -> Self:
        with ExitStack() as signals:
            signals.enter_context(endings_raise())
            self.start()
            self._undo.push(signals.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_home(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._lock.acquire():
            holder, info = self._lock.holder(), read_info(self.home.stack_file)
            if (info and info.pid == holder) or time.monotonic() > deadline:
                raise AlreadyUp(pid=holder)
            time.sleep(0.1)
        self._undo.callback(self._lock.release)
        self.home.stack_file.unlink(missing_ok=True)  # left by one that was killed

    def _begin(self) -> None:
        began = time.monotonic()
        self._undo.callback(self._postgres.stop)
        self._undo.callback(self._valkey.stop)
        self._undo.callback(self._stop_models)
        self._undo.callback(self._stop_workers)
        self._undo.callback(self.home.stack_file.unlink, missing_ok=True)
        for server in self._models:  # first, for they take longest
            server.launch(self._report)
        self._postgres.start()
        self._report(f"PostgreSQL at {HOST}:{self._postgres.port}")
        self._migrate(self._postgres.url)
        self._valkey.start()
        self._report(f"Valkey at {HOST}:{self._valkey.port}")
        for server in self._models:
            server.wait()
            self._report(f"{server.model.title} at {server.url}")
        self._start_workers()
        write_info(self.home.stack_file, self.info)
        self._report(f"everything is up after {time.monotonic() - began:.0f} s")

    def _start_server_again(self, server: Server) -> None:
        ended = server.child
        try:
            server.stop()
            server.start()
        except BaseException:
            server.child = server.child or ended  # it is still known as one that has ended
            raise

    def _start_workers(self) -> None:
        for pool in self._pools:
            self._workers.append((pool, self._started(pool)))
        waiting = {pool.name for pool in self._pools}
        for pool, child in self._workers:
            child.wait_ready(partial(self._answers, pool.name, waiting), START_TIMEOUT_S)
            self._report(f"worker {pool.name} for {', '.join(pool.queues)}")

    def _started(self, pool: WorkerPool) -> Child:
        environment = {"DATABASE_URL": self._postgres.url, "REDIS_URL": self._valkey.url}
        return pool.start(self.home.logs / f"worker-{pool.name}.log", self.home.root, environment)

    def _answers(self, name: str, waiting: set[str]) -> bool:
        if name in waiting:
            waiting -= answering(self._valkey.url, waiting)
        return name not in waiting

    def _stop_models(self) -> None:
        for server in self._models:
            server.stop()

    def _stop_workers(self) -> None:
        stop_together([child for _, child in self._workers], WORKER_STOP_S)
        self._workers.clear()

    @property
    def _servers(self) -> Sequence[Server]:
        return (self._postgres, self._valkey, *self._models)

    def _children(self) -> list[Child]:
        servers = [server.child for server in self._servers if server.child]
        return servers + [child for _, child in self._workers]

    def _parts(self) -> tuple[Part, ...]:
        servers = [
            ("PostgreSQL", Kind.DATABASE, f"{HOST}:{self._postgres.port}", self._postgres.child),
            ("Valkey", Kind.BROKER, f"{HOST}:{self._valkey.port}", self._valkey.child),
            *((server.model.title, Kind.LANGUAGE_MODEL, server.url, server.child) for server in self._models),
            *((pool.name, Kind.WORKER, "", child) for pool, child in self._workers),
        ]
        return tuple(Part(name, kind, address, child.pid) for name, kind, address, child in servers if child)
