"""Real services for the tests: a Postgres and a Valkey of their own, on free ports, gone afterwards."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage, rmtree

import psycopg
import pytest
import structlog
from hypothesis import settings
from sqlalchemy import Engine

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.store.migrate import upgrade
from shared.store.session import Sessions, make_engine, make_sessions

TEMPLATE = "migrated"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of that name that is there already is an error, and not used
ROOM = 2**31  # bytes: three servers, as seen once half way, had some 100 MB each

settings.register_profile("shared machine", deadline=None)  # how long a case takes says nothing there
settings.load_profile("shared machine")
# Structlog's own way shows every variable of every frame, which takes seconds.
_plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _plain])


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, which makes databases quicker; on the disk if there is no room."""
    if not (MEMORY.is_dir() and disk_usage(MEMORY).free >= ROOM):
        yield tmp_path_factory.mktemp("disk")
        return
    for left in MEMORY.glob("ensemble-instruct-tests-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():  # its tests were killed
            rmtree(left, ignore_errors=True)
    folder = MEMORY / f"ensemble-instruct-tests-{os.getpid()}"
    folder.mkdir()
    yield folder
    rmtree(folder)


@pytest.fixture(scope="session")
def postgres(memory: Path) -> Iterator[Postgres]:
    """A Postgres server with one migrated database, which every test's own is cloned from."""
    with Postgres(memory / "postgres", fast=True) as server:
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        engine = make_engine(server.url_of(TEMPLATE))
        upgrade(engine)
        engine.dispose()
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    yield from _database(postgres, TEMPLATE)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """The address of a database without tables."""
    yield from _database(postgres, "template1")


def _database(postgres: Postgres, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield postgres.url_of(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Connections to the test's database."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    """Sessions on the test's database."""
    return make_sessions(engine)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey server."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The address of the broker; tests that share it use runs of their own."""
    return valkey.url
