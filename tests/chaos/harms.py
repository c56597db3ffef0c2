"""Harm, each kind a schedule: it does something, and yields the seconds until it wants to go on."""

import os
import signal
from collections.abc import Generator
from contextlib import suppress

import psycopg
import redis

from tests.chaos.workers import Worker
from tests.chaos.world import World

Schedule = Generator[float]


def kill_workers(world: World, every_s: float = 2.0, *among: Worker) -> Schedule:
    """kill -9 of a random worker, time and again."""
    yield every_s
    while True:
        if alive := [each for each in world.workers.alive() if not among or each in among]:
            world.chance.choice(alive).kill()
        yield every_s


def freeze_workers(world: World, every_s: float = 4.0, frozen_s: float = 9.0) -> Schedule:
    """A worker stands still until others have taken its work over, and then goes on as if nothing had been."""
    while True:
        yield every_s
        if alive := world.workers.alive():
            pid = world.chance.choice(alive).child.pid
            os.kill(pid, signal.SIGSTOP)
            try:
                yield frozen_s
            finally:
                with suppress(ProcessLookupError):  # another harm has killed it
                    os.kill(pid, signal.SIGCONT)


def wipe_broker(world: World, every_s: float = 3.0) -> Schedule:
    """FLUSHALL, time and again."""
    while True:
        yield every_s
        with suppress(redis.ConnectionError, redis.TimeoutError), redis.Redis.from_url(world.valkey.url) as client:
            client.flushall()


def restart_broker(world: World, every_s: float = 12.0, away_s: float = 3.0) -> Schedule:
    """The broker dies, and comes back with nothing."""
    while True:
        yield every_s
        if world.valkey.child:
            world.valkey.child.kill()
        yield away_s
        world.valkey.start()


def silence_broker(world: World, every_s: float = 10.0, silent_s: float = 8.0) -> Schedule:
    """The broker accepts connections and messages, and drops them."""
    while True:
        yield every_s
        world.proxy.swallows = True
        yield silent_s
        world.proxy.swallows = False


def double_messages(world: World) -> Schedule:
    """Each message is delivered twice."""
    world.proxy.doubles = True
    while True:
        yield 60.0


def restart_postgres(world: World, every_s: float = 15.0, away_s: float = 2.0) -> Schedule:
    """Postgres stops at once, as `pg_ctl restart -m immediate` has it, and recovers."""
    while True:
        yield every_s
        if world.postgres.child:
            os.kill(world.postgres.child.pid, signal.SIGQUIT)
        yield away_s
        world.postgres.stop()
        world.postgres.start()


def freeze_postgres(world: World, after_s: float = 8.0, frozen_s: float = 20.0) -> Schedule:
    """Postgres stands still for a while, once."""
    yield after_s
    if world.postgres.child:
        os.killpg(world.postgres.child.pid, signal.SIGSTOP)
        try:
            yield frozen_s
        finally:
            os.killpg(world.postgres.child.pid, signal.SIGCONT)


def cut_connections(world: World, every_s: float = 2.0) -> Schedule:
    """Every connection to Postgres is cut, time and again."""
    while True:
        yield every_s
        try:
            with psycopg.connect(world.postgres.url, autocommit=True, connect_timeout=5) as connection:
                others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                connection.execute(others + " AND backend_type = 'client backend'")
        except psycopg.OperationalError:
            yield 1.0  # another harm is at it


def harm_answers(world: World, **rates: float) -> Schedule:
    """Some of the LMs' answers go wrong."""
    for lm in world.all_lms():
        lm.faults(**rates)
    while True:
        yield 60.0


def break_all_answers(world: World, after_s: float = 8.0, broken_s: float = 25.0) -> Schedule:
    """Every server answers nothing but 500 for a while."""
    yield after_s
    for lm in world.all_lms():
        lm.faults(**{"500": 1.0})
    yield broken_s
    for lm in world.all_lms():
        lm.faults()


def freeze_an_lm(world: World, every_s: float = 8.0, frozen_s: float = 6.0) -> Schedule:
    """One of the servers accepts calls and does not answer, for longer than a call may take."""
    while True:
        yield every_s
        lm = world.chance.choice(world.all_lms())
        lm.freeze()
        try:
            yield frozen_s
        finally:
            lm.thaw()


def lose_an_lm(world: World, after_s: float = 5.0) -> Schedule:
    """One server of a model that has another dies for good."""
    yield after_s
    world.chance.choice([lm for lms in world.lms.values() if len(lms) > 1 for lm in lms]).kill()


def stop_all_workers(world: World, every_s: float = 12.0, away_s: float = 6.0) -> Schedule:
    """SIGTERM to all in the middle of it; then they are started from cold."""
    while True:
        yield every_s
        world.workers.supervised = False
        for worker in world.workers.alive():
            worker.ask_to_stop()
        yield away_s
        world.workers.supervised = True
