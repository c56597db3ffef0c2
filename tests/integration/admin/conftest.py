"""A command line, a job, an LM to answer it, and a run that has ended."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
import yaml

from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.job_file import read_job
from shared.lm.fake import FakeServer
from shared.queue.app import make_app
from shared.store.session import Sessions
from tests.integration.admin.command_line import CommandLine, row_counts
from tests.integration.workers.driving import a_worker, begin, drive, small_job


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that met its targets, and the database it lies in."""

    database_url: str
    id: str
    name: str


@pytest.fixture(scope="session")
def lm() -> Iterator[FakeServer]:
    """A fake LM that answers plausibly and at once, in both protocols."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def bare_command(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandLine:
    """The command line in an empty folder, with a broker and no database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("ENSEMBLE_INSTRUCT_HOME", str(tmp_path / "home"))
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def command(bare_command: CommandLine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with a database of the test's own."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return bare_command


@pytest.fixture
def later_command(bare_command: CommandLine, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with the database of the run that has ended."""
    monkeypatch.setenv("DATABASE_URL", finished.database_url)
    return bare_command


@pytest.fixture
def changeable(postgres: Postgres, finished: Finished) -> Finished:
    """A copy of the run that has ended, for a test to change."""
    return replace(finished, database_url=clone(postgres, finished.database_url.rpartition("/")[2]))


@pytest.fixture
def changing_command(bare_command: CommandLine, changeable: Finished, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with the database of that copy."""
    monkeypatch.setenv("DATABASE_URL", changeable.database_url)
    return bare_command


@pytest.fixture
def doomed_command(
    bare_command: CommandLine, untouched_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    """The command line for what has to fail: whatever it is told, nothing may be written."""
    monkeypatch.setenv("DATABASE_URL", untouched_url)
    before = row_counts(untouched_url)
    yield bare_command
    assert row_counts(untouched_url) == before


@pytest.fixture(scope="package")
def untouched_url(postgres: Postgres) -> str:
    """The address of a database in which nothing is ever written."""
    return clone(postgres)


def clone(postgres: Postgres, template: str = "migrated") -> str:
    """The address of a new database, migrated or like another one; it goes with the server."""
    name = f"clone_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgres.url_of(name)


@pytest.fixture
def job(lm: FakeServer, tmp_path: Path) -> Path:
    """A good job."""
    path = tmp_path / "job.yaml"
    server = {"endpoints": [lm.url]}
    content = {
        "name": "small",
        "targets": {"input_output": 3, "output_only": 2},
        "models": {
            "base": {"protocol": "tgi", "kind": "vanilla", **server},
            "chat": {"protocol": "openai", "kind": "instruct", **server},
        },
        "instructions": {"model": "base"},
        "instances": {"model": "base"},
        "outputs": [{"model": "base"}, {"model": "chat"}],
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture
def begun(job: Path, sessions: Sessions, redis_url: str) -> str:
    """The id of a run that nobody works on, in the test's own database."""
    broker = make_app(redis_url)
    with sessions() as session:
        run = start_run(session, broker, plan_job(read_job(job)))
    broker.close()
    return str(run.id)


@pytest.fixture(scope="package")
def finished(postgres: Postgres, valkey: Valkey, lm: FakeServer) -> Finished:
    """A run of five examples, for tests that only look at it."""
    url = clone(postgres)
    with a_worker(url, valkey.url) as runtime:
        run = drive(runtime, begin(runtime, small_job(lm.url)))
    return Finished(url, str(run.id), run.name)
