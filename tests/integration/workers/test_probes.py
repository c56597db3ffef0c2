"""Whether a worker is alive and ready, as it sees it itself."""

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.local.valkey import Valkey
from shared.errors import WorldError
from shared.store.session import make_engine
from shared.telemetry.in_time import InTime
from tests.integration.workers.driving import a_worker
from workers import probes
from workers.probes import CONSUMER_STILL_S, LOOP_STILL_S, Consumer, Probes
from workers.runtime import Runtime


@pytest.fixture
def probed(runtime: Runtime, database_url: str) -> Iterator[Probes]:
    """A worker that takes work."""
    engine = make_engine(database_url, pool_size=1)
    made = Probes(runtime, runtime.hinting.app, engine)
    made.ready_with()
    yield made
    engine.dispose()


def test_a_worker_that_takes_work_is_alive_and_ready(probed: Probes) -> None:
    assert probed.alive() == probed.ready() == []


def test_one_that_begins_is_alive_but_not_ready(runtime: Runtime, database_url: str) -> None:
    engine = make_engine(database_url)
    beginning = Probes(runtime, runtime.hinting.app, engine)
    assert beginning.alive() == []
    assert beginning.ready() == ["the worker takes no work yet"]
    engine.dispose()


def test_one_that_shuts_down_is_alive_but_not_ready(runtime: Runtime, probed: Probes) -> None:
    runtime.stopping.set()
    assert probed.alive() == []
    assert probed.ready() == ["the worker is shutting down"]


def test_an_event_loop_that_stands_still_is_not_alive(
    runtime: Runtime, probed: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "LOOP_STILL_S", 0.5)
    free = threading.Event()
    runtime.loop.soon(free.wait, 60)
    until = time.monotonic() + 30
    while not probed.alive() and time.monotonic() < until:
        time.sleep(0.05)
    assert [each.partition(" for ")[0] for each in probed.alive()] == ["the event loop of LM calls has stood still"]
    free.set()
    while probed.alive() and time.monotonic() < until:
        time.sleep(0.05)
    assert probed.alive() == []
    assert LOOP_STILL_S > 5


def test_a_reconciler_that_has_ended_is_not_alive(probed: Probes) -> None:
    thread = threading.Thread(target=int, name="reconciler")
    thread.start()
    thread.join()
    probed.ready_with(thread)
    assert probed.alive() == ["the thread reconciler has ended"]


def test_without_postgres_it_is_alive_but_not_ready(runtime: Runtime) -> None:
    away = make_engine("postgresql://me:hunter-2@127.0.0.1:1/none")
    cut_off = Probes(runtime, runtime.hinting.app, away)
    cut_off.ready_with()
    (wrong,) = cut_off.ready()
    assert wrong.startswith("Postgres at postgresql://me:***@127.0.0.1:1/none can't be reached")
    assert cut_off.alive() == []
    away.dispose()


def test_a_postgres_that_hangs_is_told_in_time(probed: Probes, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE alembic_version")
        assert probed.ready() == ["Postgres did not answer within 2 s"]
        assert probed.alive() == []


def test_a_database_without_tables_is_not_ready(runtime: Runtime, empty_database_url: str) -> None:
    empty = make_engine(empty_database_url)
    unmigrated = Probes(runtime, runtime.hinting.app, empty)
    unmigrated.ready_with()
    (wrong,) = unmigrated.ready()
    assert wrong.endswith("run `ensemble-instruct db upgrade`.")
    empty.dispose()


def test_a_database_that_was_upgraded_beneath_it_is_ready(runtime: Runtime, probed: Probes) -> None:
    with runtime.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert probed.ready() == []


def test_a_role_that_may_not_look_is_told(runtime: Runtime, database_url: str) -> None:
    name = f"nobody_{uuid.uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(sql.Identifier(name)))
        engine = make_engine(make_url(database_url).set(username=name, password="p").render_as_string(False))  # noqa: S106 - of a database that goes with the test
        stranger = Probes(runtime, runtime.hinting.app, engine)
        stranger.ready_with()
        assert stranger.ready() == ["Postgres says: permission denied for table alembic_version"]
        engine.dispose()
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_without_the_broker_it_is_alive_but_not_ready(database_url: str, tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey") as broker, a_worker(database_url, broker.url) as worker:
        engine = make_engine(database_url)
        made = Probes(worker, worker.hinting.app, engine)
        made.ready_with()
        assert made.ready() == []
        broker.stop()
        (wrong,) = made.ready()
        assert wrong.startswith("The broker at REDIS_URL can't be reached") or "did not answer" in wrong
        assert made.alive() == []
        engine.dispose()


def answers() -> None:
    """As a broker that is there."""


def refuses() -> None:
    """As one that is not."""
    raise WorldError


def test_a_consumer_is_silent_for_good_only_while_the_broker_answers() -> None:
    broker = InTime("the broker", answers, 20)
    consumer = Consumer(broker)
    now = time.monotonic()
    assert consumer.wrong(now + 1000) == []  # it never beat: its heartbeat is off
    consumer.beat()
    assert consumer.wrong(now + CONSUMER_STILL_S - 1) == []
    assert consumer.wrong(now + 2 * CONSUMER_STILL_S) == []  # the broker may have come back just now
    (wrong,) = consumer.wrong(now + 4 * CONSUMER_STILL_S)
    assert wrong.startswith("Celery's consumer has stood still for 2")
    consumer.beat()
    assert consumer.wrong(time.monotonic()) == []


def test_a_consumer_that_waits_for_the_broker_is_alive() -> None:
    consumer = Consumer(InTime("the broker", refuses, 20))
    consumer.beat()
    now = time.monotonic()
    assert all(consumer.wrong(now + times * CONSUMER_STILL_S) == [] for times in range(1, 6))
