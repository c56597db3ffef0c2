import json
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from services.admin.enqueueing import start_run
from services.admin.listeners import unheard
from services.admin.planning import plan_job
from services.local.processes import Child
from shared.job_file import read_job
from shared.queue.app import make_app
from shared.store.session import Sessions
from tests.integration.admin.command_line import ROOT, CommandLine, row_counts


def test_init_writes_a_job_that_validates(command: CommandLine, tmp_path: Path) -> None:
    written = command("init", "mine.yaml")
    assert (written.code, written.out) == (0, "")
    assert "ensemble-instruct validate mine.yaml" in written.err
    assert command("validate", "mine.yaml", "--no-check").code == 0


def test_init_overwrites_nothing(command: CommandLine, job: Path) -> None:
    before = job.read_text()
    assert "job.yaml exists already" in command.refused(2, "init")
    assert job.read_text() == before


def test_init_says_when_it_cannot_write(command: CommandLine) -> None:
    assert "No such file or directory" in command.refused(1, "init", "nowhere/job.yaml")


def test_validate_says_what_the_servers_serve_and_what_would_be_made(command: CommandLine, job: Path) -> None:
    outcome = command("validate", job)
    assert outcome.code == 0
    assert "is a good job: 3 input_output, 2 output_only from 175 seeds, fingerprint" in outcome.out
    assert "base: http://127.0.0.1" in outcome.err
    assert "serves fake/model at 5f3c0ad2e1b4" in outcome.err


def test_validate_tells_a_program_the_same(command: CommandLine, job: Path) -> None:
    told = json.loads(command("validate", job, "--json").out)
    assert told["faults"] == []
    assert told["seeds"] == {"input_output": 125, "output_only": 50}
    assert told["prompts"]["outputs.1.prompt"] == "output_zero_shot"
    assert told["models"]["chat"][0]["model_id"] == "fake/model"


def test_validate_tells_a_program_the_faults(command: CommandLine, job: Path) -> None:
    outcome = command("validate", job, "--set", "models.base.nonsense=1", "--json")
    assert outcome.code == 2
    assert [fault["field"] for fault in json.loads(outcome.out)["faults"]] == ["models.base.nonsense"]
    assert "there is no such setting" in outcome.err


def test_enqueue_prints_the_id_alone(command: CommandLine, job: Path, database_url: str) -> None:
    outcome = command("enqueue", job, "--set", "targets.output_only=7")
    assert outcome.code == 0
    id = uuid.UUID(outcome.out.removesuffix("\n"))
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT name, state, job->'targets' FROM runs WHERE id = %s", [id]).fetchone()
    assert row == ("small-1", "running", {"input_output": 3, "output_only": 7})


def test_enqueue_tells_a_program_name_and_fingerprint(command: CommandLine, job: Path) -> None:
    fingerprint = json.loads(command("validate", job, "--json").out)["fingerprint"]
    told = json.loads(command("enqueue", job, "--name", "mine", "--json").out)
    assert (told["name"], told["fingerprint"]) == ("mine", fingerprint)


def test_enqueue_without_check_asks_no_server(command: CommandLine, job: Path) -> None:
    nowhere = "models.base.endpoints=[http://127.0.0.1:1]"
    assert command("enqueue", job, "--no-check", "--set", nowhere).code == 0


def test_enqueue_names_the_worker_that_is_missing(command: CommandLine, job: Path) -> None:
    outcome = command("enqueue", job)
    queues = "instructions,instances,outputs.base,outputs.chat,consensus,control"
    assert f"warning: no worker listens to {queues}; start one: celery -A workers.app worker -Q {queues}" in outcome.err


@pytest.fixture
def worker(database_url: str, redis_url: str, tmp_path: Path) -> Child:
    """A worker process for some of the queues."""
    program = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", "instructions,outputs.chat"]
    environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    return Child.start("worker", program, log=tmp_path / "worker.log", folder=ROOT, environment=environment)


def test_enqueue_hears_the_workers_that_live(command: CommandLine, job: Path, worker: Child, redis_url: str) -> None:
    broker = make_app(redis_url)
    try:
        worker.wait_ready(lambda: len(unheard(broker, read_job(job))) < 6, 60)
        assert "no worker listens to instances,outputs.base,consensus,control;" in command("enqueue", job).err
    finally:
        worker.stop(timeout_s=10)
        broker.close()


def test_a_name_is_taken_once(command: CommandLine, job: Path, database_url: str) -> None:
    assert command("enqueue", job, "--name", "mine").code == 0
    before = row_counts(database_url)
    assert "There is a run named 'mine' already" in command.refused(2, "enqueue", job, "--name", "mine")
    assert row_counts(database_url) == before


def test_a_name_that_no_shell_would_like_is_refused(command: CommandLine, job: Path, database_url: str) -> None:
    outcome = command("enqueue", job, "--name", "../Mine")
    assert (outcome.code, outcome.out) == (2, "")
    assert "write lower-case letters" in outcome.err
    assert set(row_counts(database_url).values()) == {0, 1}  # the one row is Alembic's


def test_two_enqueues_at_once_number_their_runs(
    job: Path, sessions: Sessions, redis_url: str, database_url: str
) -> None:
    plan, broker = plan_job(read_job(job)), make_app(redis_url)
    names: list[str] = []

    def enqueue() -> None:
        with sessions() as session:
            names.append(start_run(session, broker, plan).name)

    with psycopg.connect(database_url) as other:
        other.execute("INSERT INTO runs (id, name, job, fingerprint) VALUES (gen_random_uuid(), 'small-1', '{}', '')")
        second = threading.Thread(target=enqueue)
        second.start()
        _wait_for_a_lock(database_url)
    second.join()
    broker.close()
    assert names == ["small-2"]


def _wait_for_a_lock(database_url: str) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(500):
            if connection.execute(waiting).fetchone() == (1,):
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_every_command_explains_itself(command: CommandLine) -> None:
    commands = ["init", "validate", "validate-seeds", "enqueue", "runs", "status", "watch", "cancel", "export"]
    for each in [*commands, "lineage", "demo", "db upgrade", "local up", "local down", "local status"]:
        outcome = command(*each.split(), "--help")
        assert (outcome.code, outcome.err) == (0, "")
        assert f"ensemble-instruct {each}" in outcome.out


def test_a_pipe_serves_as_a_job_file(command: CommandLine, job: Path) -> None:
    with subprocess.Popen(["cat", str(job)], stdout=subprocess.PIPE) as cat:
        assert cat.stdout
        assert command("validate", "--no-check", f"/dev/fd/{cat.stdout.fileno()}").code == 0
