"""What a worker process holds for its whole life: connections, an event loop, what it knows of runs."""

import asyncio
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from os import getpid
from typing import Any, TypeVar

from celery import Celery
from sqlalchemy import Engine

from shared.lm.connect import connect
from shared.lm.protocol import LanguageModel
from shared.store.loading import RunContext, load_run
from shared.store.runs import running_ids
from shared.store.session import Sessions, make_engine, make_sessions
from workers.novelty_indexes import NoveltyIndexes

T = TypeVar("T")


class EventLoop:
    """One event loop in a thread of its own: LM clients belong to one loop, Celery's tasks to many threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lm-calls", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Runtime:
    """Everything a handler needs that is not the work itself."""

    engine: Engine
    sessions: Sessions
    app: Celery
    worker: str
    lease_slack_s: float
    stopping: threading.Event = field(default_factory=threading.Event)
    loop: EventLoop = field(default_factory=EventLoop)
    indexes: NoveltyIndexes = field(default_factory=NoveltyIndexes)
    streaming: set[tuple[uuid.UUID, str]] = field(default_factory=set)  # runs' queues; the loop's alone
    draining: Counter[uuid.UUID] = field(default_factory=Counter)  # streams whose last calls are under way
    _contexts: dict[uuid.UUID, RunContext] = field(default_factory=dict)
    _models: dict[tuple[uuid.UUID, str], LanguageModel] = field(default_factory=dict)

    @classmethod
    def open(cls, app: Celery, database_url: str, *, lease_slack_s: float) -> "Runtime":
        """Connect to Postgres; call it after the fork, if there is one."""
        engine = make_engine(database_url)
        worker = f"{socket.gethostname()}:{getpid()}"
        return cls(engine, make_sessions(engine), app, worker, lease_slack_s)

    def context(self, run_id: uuid.UUID) -> RunContext | None:
        """What the run began with, read once; `None` if there is no such run."""
        known = self._contexts.get(run_id)
        if known:
            return known
        with self.sessions() as session:
            context = load_run(session, run_id)
            running = {run_id, *running_ids(session)}
        if context:
            self.loop.run(self._forget_all_but(running))
            self._contexts[run_id] = context
        return context

    async def _forget_all_but(self, running: Collection[uuid.UUID]) -> None:
        """Let go of what ended runs took: their indexes may be large."""
        self.indexes.forget_all_but(running)
        self._contexts = {run_id: context for run_id, context in self._contexts.items() if run_id in running}
        busy = {run_id for run_id, _ in self.streaming} | set(+self.draining)
        for key in [key for key in self._models if key[0] not in busy.union(running)]:
            await self._models.pop(key).close()

    def model(self, context: RunContext, name: str) -> LanguageModel:
        """The client of a run's model, made once."""
        key = (context.run_id, name)
        if key not in self._models:
            self._models[key] = connect(context.job.models[name])
        return self._models[key]

    def close(self) -> None:
        """Give back the connections."""
        for model in self._models.values():
            self.loop.run(model.close())
        self.loop.close()
        self.engine.dispose()
