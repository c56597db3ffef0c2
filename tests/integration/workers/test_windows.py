"""A worker's window of calls: what it asks the other workers for, and when it may have it."""

import asyncio
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, select, update

from services.local.postgres import Postgres
from shared.lm.fake import FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.lm.health import EndpointHealth
from shared.lm.protocol import Answer, Call, Description
from shared.method.tasks import Stage
from shared.queue import names
from shared.store import shares
from shared.store.keys import pool_key
from shared.store.session import Sessions
from shared.store.shares import Holder
from shared.store.tables.work import WorkItem, WorkState
from tests.integration.store.planted import plant_run
from tests.integration.workers.driving import HeldLM, begin, in_threads, rows, small_job, stream, work_in
from workers import windows
from workers.reconciler import reconcile
from workers.runtime import Runtime
from workers.windows import CallWindow

SIZE = 8
POOL = pool_key(["http://lm"], "m")


@dataclass
class Servers:
    """Servers that take so many calls."""

    capacity: int = SIZE
    away: bool = False

    def when_room(self, tell: object) -> None:
        """They never have more."""

    def health(self) -> list[EndpointHealth]:
        """Nothing to tell."""
        return []

    async def generate(self, call: Call) -> Answer:
        """No call is sent here."""
        raise NotImplementedError

    async def describe(self) -> list[Description]:
        """Nor asked this."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Queue:
    """A stream that holds work for its whole window, and keeps the calls it sends under way."""

    queue: str = names.INSTRUCTIONS
    stage_name: Stage = Stage.INSTRUCTION
    held: int = SIZE
    feeding: bool = False
    sent: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waiting(self) -> bool:
        return self.sent < self.held

    def send_next(self) -> None:
        self.sent += 1

    def abort(self) -> None:
        self.held = 0

    def wake(self) -> None:
        self.woken.set()

    def has_room(self) -> None:
        self.woken.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """The threads that agree."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def window_of(
    sessions: Sessions, executor: ThreadPoolExecutor, run_id: uuid.UUID, worker: str, servers: Servers | None = None
) -> CallWindow:
    return CallWindow(sessions, executor, Holder(run_id, "base", worker, POOL, SIZE), 0, servers or Servers())


def join(all_windows: Sequence[CallWindow]) -> list[Queue]:
    callers = [Queue() for _ in all_windows]
    for window, caller in zip(all_windows, callers, strict=True):
        window.join(caller)
    return callers


async def leave(all_windows: Sequence[CallWindow], callers: Sequence[Queue]) -> None:
    for window, caller in zip(all_windows, callers, strict=True):
        window.leave(caller)
    for window in all_windows:
        await window.released()


def test_workers_that_see_every_server_away_leave_the_whole_window_to_one_that_does_not(
    sessions: Sessions, executor: ThreadPoolExecutor
) -> None:
    run_id = plant_run(sessions)

    async def session() -> None:
        shut_out = [
            window_of(sessions, executor, run_id, f"x{index}", Servers(capacity=0, away=True)) for index in range(10)
        ]
        healthy = window_of(sessions, executor, run_id, "healthy")
        callers = join([*shut_out, healthy])
        try:
            async with asyncio.timeout(20):
                while callers[-1].sent < SIZE:
                    await asyncio.sleep(0.05)
            assert [each.sent for each in callers] == [0] * 10 + [SIZE]
        finally:
            await leave([*shut_out, healthy], callers)

    asyncio.run(session())


def test_a_stream_keeps_a_slot_while_there_is_room_and_it_is_its_turn(
    sessions: Sessions, executor: ThreadPoolExecutor
) -> None:
    run_id = plant_run(sessions)

    async def session() -> None:
        servers, early, late = Servers(), Queue(held=2 * SIZE), Queue(stage_name=Stage.OUTPUT)
        window = window_of(sessions, executor, run_id, "x", servers)
        window.join(early)
        try:
            async with asyncio.timeout(20):
                while early.sent < SIZE:
                    await asyncio.sleep(0.05)
            assert window.goes_on(early)
            servers.capacity = SIZE - 1
            assert not window.goes_on(early)
            servers.capacity, window.slots = SIZE, SIZE - 1
            assert not window.goes_on(early)
            window.slots = SIZE
            early.held = early.sent
            assert not window.goes_on(early)
            early.held = 2 * SIZE
            window.join(late)
            kept = window.goes_on(early), window.goes_on(late)
            late.held = 0
            kept_then = window.goes_on(early)
            window.leave(late)
            assert (kept, kept_then) == ((False, True), True)
        finally:
            await leave([window], [early])

    asyncio.run(session())


def test_a_share_falls_to_what_is_fair_though_no_call_ends(sessions: Sessions, executor: ThreadPoolExecutor) -> None:
    run_id = plant_run(sessions)

    async def session() -> None:
        first, second = (window_of(sessions, executor, run_id, name) for name in ("first", "second"))
        callers = [Queue(held=2 * SIZE), Queue(held=2 * SIZE)]
        first.join(callers[0])
        try:
            async with asyncio.timeout(20):
                while first.in_flight < SIZE:
                    await asyncio.sleep(0.05)
                second.join(callers[1])
                while first.slots > SIZE // 2:
                    await asyncio.sleep(0.05)
            assert (first.slots, first.in_flight, second.slots) == (SIZE // 2, SIZE, 0)
        finally:
            await leave([first, second], callers)

    asyncio.run(session())


def test_a_worker_whose_server_may_be_back_gets_a_slot_to_see(sessions: Sessions, executor: ThreadPoolExecutor) -> None:
    run_id = plant_run(sessions)

    async def session() -> None:
        servers = Servers(capacity=0, away=True)
        both = [window_of(sessions, executor, run_id, "x", servers), window_of(sessions, executor, run_id, "healthy")]
        callers = join(both)
        try:
            async with asyncio.timeout(20):
                while callers[1].sent < SIZE:
                    await asyncio.sleep(0.05)
                servers.capacity = 1
                callers[1].held, both[1].in_flight = 4, 4  # half of its calls end
                while callers[0].sent < 1:
                    await asyncio.sleep(0.05)
        finally:
            await leave(both, callers)

    asyncio.run(session())


@contextmanager
def an_outage(postgres: Postgres, database_url: str) -> Iterator[None]:
    """Nobody can reach the database."""
    name = conninfo_to_dict(database_url)["dbname"]
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(allow.format(sql.Identifier(str(name)), False))
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(str(name)), True))


def test_after_an_outage_a_worker_that_waited_takes_no_room_of_calls_under_way(
    sessions: Sessions,
    executor: ThreadPoolExecutor,
    postgres: Postgres,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "EXPIRES_S", 2.0)
    monkeypatch.setattr(windows, "SAFETY_S", 0.5)
    runs = [plant_run(sessions), plant_run(sessions, "another")]
    returned = threading.Event()

    async def session(busys_thread: ThreadPoolExecutor) -> None:
        busy = window_of(sessions, busys_thread, runs[0], "w")
        waiting = window_of(sessions, executor, runs[1], "w")
        callers = join([busy])
        async with asyncio.timeout(40):
            while callers[0].sent < SIZE:
                await asyncio.sleep(0.05)
            callers += join([waiting])
            while not waiting.agreed:
                await asyncio.sleep(0.05)
            with an_outage(postgres, database_url):
                busys_thread.submit(returned.wait, 20)
                await asyncio.sleep(3)
                assert [busy.agreed, waiting.agreed] == [False, False]
            for _ in range(20):  # the one that waits is back before the other
                assert callers[1].sent == 0
                await asyncio.sleep(0.05)
            returned.set()
            for _ in range(50):
                assert callers[1].sent == 0
                await asyncio.sleep(0.05)
            busy.in_flight = callers[0].held = 0  # all its calls end
            while callers[1].sent < SIZE:
                await asyncio.sleep(0.05)
        await leave([busy, waiting], callers)

    with ThreadPoolExecutor(1) as busys_thread:
        asyncio.run(session(busys_thread))


def test_a_process_holds_one_suspect_whatever_its_runs_and_queues(runtime: Runtime) -> None:
    held: list[int] = []

    def respond(request: FakeRequest) -> FakeAnswer:
        suspects = select(func.count()).where(WorkItem.state == WorkState.LEASED, WorkItem.crashes >= 2)
        held.append(rows(runtime, suspects)[0])
        return plausible(request)

    with FakeServer(respond) as one, FakeServer(respond) as two:
        jobs = [small_job(server.url, owner=f"owner-{index}") for index, server in enumerate((one, two))]
        runs = [begin(runtime, job) for job in jobs]
        reconcile(runtime)
        with runtime.sessions.begin() as session:
            session.execute(update(WorkItem).values(crashes=2))
        suspected = rows(runtime, select(func.count(WorkItem.id)))[0]
        in_threads([partial(stream, runtime, run_id, names.INSTRUCTIONS) for run_id in runs])
        done = [each for run_id in runs for each in work_in(runtime, run_id, WorkState.DONE)]
    assert len([each for each in done if each.crashes == 2]) == suspected
    assert max(held) == 1


def test_a_run_that_is_resumed_while_it_is_forgotten_keeps_its_window_and_its_clients(runtime: Runtime) -> None:
    lm = HeldLM()
    with FakeServer(lm.respond) as server:
        run_id = begin(runtime, small_job(server.url))
        working = threading.Thread(target=stream, args=(runtime, run_id, names.INSTRUCTIONS))
        working.start()
        lm.wait_for_a_call()
        context = runtime.context(run_id)
        assert context is not None
        window, model = runtime.window(context, "base"), runtime.model(context, "base")
        runtime.loop.run(runtime._forget_all_but(set()))
        assert (runtime.window(context, "base"), runtime.model(context, "base")) == (window, model)
        lm.let_go()
        working.join()
        runtime.loop.run(window.released())
        runtime.loop.run(runtime._forget_all_but(set()))
        assert runtime.window(context, "base") is not window
