"""What a worker process holds for its whole life: connections, an event loop, what it knows of runs."""

import asyncio
import gc
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import uvloop
from celery import Celery
from sqlalchemy import Engine

from shared.lm.connect import connect
from shared.lm.protocol import LanguageModel
from shared.queue import names
from shared.store.keys import pool_key
from shared.store.loading import RunContext, load_run, revision_of
from shared.store.runs import running_ids
from shared.store.session import Sessions, make_engine, make_sessions
from shared.store.shares import Holder
from shared.telemetry.run_events import RunEvents, report_runs
from workers.hinting import Hinting
from workers.novelty_indexes import NoveltyIndexes
from workers.turns import OneAtATime, Turn
from workers.windows import CallWindow

if TYPE_CHECKING:  # it needs OpenTelemetry, which is there if it is wanted
    from shared.telemetry.otlp import Traces

T = TypeVar("T")

LOOP_THREAD = "lm-calls"
TURN_S = 1.0  # how often the loop notes that it turns
STORE_THREADS = 8  # that claim and write for the loop's streams
PAGES = 3  # of instances that are judged at once, at most
GARBAGE_AFTER = 50_000  # new objects, many of which live for as long as a call; Python's 700 are few for that
CONNECTIONS = STORE_THREADS + PAGES + 1  # kept open: one for each of them, and one for gates and the reconciler

# Plans are kept, and a new database's were made while its tables were so small that reading all of them was cheapest.
# Before Postgres 18 a table that has to be read whole all the same costs so much in the plan that it would be compiled.
LOOKING_UP = {"enable_seqscan": "off", "jit": "off"}


def _threads_that_agree() -> ThreadPoolExecutor:
    """Apart from the others, so that nothing slow can hold up what windows agree on."""
    return ThreadPoolExecutor(2, thread_name_prefix="shares")


def _threads_that_judge() -> ThreadPoolExecutor:
    """For all runs together, so that they leave connections for everybody else."""
    return ThreadPoolExecutor(PAGES, thread_name_prefix="judge")


class Wakeable(Protocol):
    """A stream, as far as the process needs to know it."""

    def wake(self) -> None:
        """There may be work."""


class EventLoop:
    """One event loop in a thread of its own: LM clients belong to one loop, Celery's tasks to many threads."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store"))
        self._turn()
        self._thread = threading.Thread(target=self._loop.run_forever, name=LOOP_THREAD, daemon=True)
        self._thread.start()

    @property
    def still_s(self) -> float:
        """For how long it has not turned."""
        return time.monotonic() - self._turned_at

    def _turn(self) -> None:
        self._turned_at = time.monotonic()
        self._loop.call_later(TURN_S, self._turn)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called in the loop."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def later(self, after_s: float, function: Callable[[], object]) -> None:
        """Have a function called in the loop, some seconds from now."""
        self._loop.call_soon_threadsafe(self._loop.call_later, after_s, function)

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
    hinting: Hinting
    worker: str
    lease_slack_s: float
    stopping: threading.Event = field(default_factory=threading.Event)
    loop: EventLoop = field(default_factory=EventLoop)
    indexes: NoveltyIndexes = field(default_factory=NoveltyIndexes)
    streams: dict[tuple[uuid.UUID, str], Wakeable] = field(default_factory=dict)  # the loop alone writes it
    judges: OneAtATime = field(default_factory=OneAtATime)
    judging: ThreadPoolExecutor = field(default_factory=_threads_that_judge)
    judging_suspect: Turn = field(default_factory=Turn)  # to hold one that may be what makes workers vanish
    gates: OneAtATime = field(default_factory=OneAtATime)
    streaming: Counter[uuid.UUID] = field(default_factory=Counter)  # streams that have calls under way, by run
    suspecting: Turn = field(default_factory=Turn)  # to hold a piece of work that may be what makes workers vanish
    agreeing: ThreadPoolExecutor = field(default_factory=_threads_that_agree)
    run_events: RunEvents | None = None
    traces: "Traces | None" = None
    _contexts: dict[uuid.UUID, RunContext] = field(default_factory=dict)
    _models: dict[tuple[uuid.UUID, str, int], LanguageModel] = field(default_factory=dict)  # and the job's revision
    _windows: dict[tuple[uuid.UUID, str, int], CallWindow] = field(default_factory=dict)

    @classmethod
    def open(cls, app: Celery, database_url: str, *, lease_slack_s: float) -> "Runtime":
        """Connect to Postgres; call it after the fork, if there is one."""
        gc.freeze()  # what is loaded by now stays; looking through it again and again costs a tenth of the CPU
        gc.set_threshold(GARBAGE_AFTER)
        engine = make_engine(database_url, pool_size=CONNECTIONS, settings=LOOKING_UP)
        worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"  # containers may share the first two
        run_events = report_runs(engine, os.environ)
        return cls(engine, make_sessions(engine), Hinting(app), worker, lease_slack_s, run_events=run_events)

    def context(self, run_id: uuid.UUID) -> RunContext | None:
        """What there is to know of a run, read once for each revision of its job; `None` if there is no such run."""
        known = self._contexts.get(run_id)
        with self.sessions.begin() as session:
            if known and known.revision == revision_of(session, run_id):
                return known
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
        busy = {*running, *+self.streaming}
        # A window whose share is not given back yet stays, lest a resumed run gets a second one of the same holder.
        held = {key for key, window in self._windows.items() if not window.is_released}
        ended = [key for key in self._models if key[0] not in busy and key not in held]
        for key in ended:
            self._windows.pop(key, None)
        for model in [self._models.pop(key) for key in ended]:
            await model.close()

    def model(self, context: RunContext, name: str) -> LanguageModel:
        """The client of a run's model, made once."""
        key = (context.run_id, name, context.revision)
        if key not in self._models:
            self._models[key] = connect(context.job.models[name])
        return self._models[key]

    def window(self, context: RunContext, name: str) -> CallWindow:
        """A model's window in this process, which all its streams share."""
        key = (context.run_id, name, context.revision)
        if key not in self._windows:
            spec = context.job.models[name]
            holder = Holder(
                context.run_id,
                name,
                # Calls of an earlier revision may still be under way, on a share of their own.
                worker=f"{self.worker}.{context.revision}",
                pool=pool_key(spec.urls, spec.model),
                size=spec.max_in_flight,
                weight=context.job.share,
            )
            model = self.model(context, name)
            self._windows[key] = CallWindow(self.sessions, self.agreeing, holder, context.revision, model)
        return self._windows[key]

    @property
    def windows(self) -> list[CallWindow]:
        """Every model's window, whether it is in use or not."""
        return list(self._windows.values())

    def wake(self, run_id: uuid.UUID, queues: Collection[str]) -> set[str]:
        """Tell this process's own streams and judge that there is work; returns the queues that none works on."""
        if self.stopping.is_set():
            return set(queues)
        self.loop.soon(self._wake, run_id, queues)
        judged = names.CONSENSUS in queues and self.judges.about_to_begin(run_id)
        return {
            queue
            for queue in queues
            if (run_id, queue) not in self.streams and not (judged and queue == names.CONSENSUS)
        }

    def _wake(self, run_id: uuid.UUID, queues: Collection[str]) -> None:
        for queue in queues:
            if (run_id, queue) in self.streams:
                self.streams[run_id, queue].wake()

    def wake_all(self) -> None:
        """Tell this process's own streams that there may be work; in the loop."""
        for stream in self.streams.values():
            stream.wake()

    def stop(self, drain_s: float | None) -> None:
        """Take no more work. Calls that are still under way after `drain_s` seconds are broken off and given back."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.loop.soon(self.wake_all)
        if drain_s is not None:
            self.loop.later(drain_s, self._break_off)

    def _break_off(self) -> None:
        for window in self._windows.values():
            window.abort()

    def close(self) -> None:
        """Give back the connections."""
        self.judging.shutdown()
        for window in self._windows.values():
            self.loop.run(window.released())
        for model in self._models.values():
            self.loop.run(model.close())
        self.loop.close()
        self.agreeing.shutdown()
        self.hinting.close()
        if self.run_events:
            self.run_events.close()
        self.engine.dispose()
        if self.traces:
            self.traces.close()
