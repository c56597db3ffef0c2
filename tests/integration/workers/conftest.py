"""A worker's connections, an LM that answers at once, and a run that has ended."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.lm.fake import FakeServer
from tests.integration.workers.driving import Ended, a_worker, begin, drive, small_job
from workers.runtime import Runtime


@pytest.fixture
def runtime(database_url: str, redis_url: str) -> Iterator[Runtime]:
    """What a worker process holds."""
    with a_worker(database_url, redis_url) as worker:
        yield worker


@pytest.fixture
def lm() -> Iterator[FakeServer]:
    """A fake LM that answers plausibly and at once."""
    with FakeServer() as server:
        yield server


@pytest.fixture(scope="module")
def ended(postgres: Postgres, valkey: Valkey) -> Iterator[Ended]:
    """A run that ended by itself, for tests that only look at it."""
    name = f"ended_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    with FakeServer() as server, a_worker(postgres.url_of(name), valkey.url) as runtime:
        job = small_job(server.url, targets={"input_output": 5, "output_only": 4})
        yield Ended(runtime, drive(runtime, begin(runtime, job)))
