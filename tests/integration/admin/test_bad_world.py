"""A database or broker that isn't as it should be: one message, and nothing half done."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine, row_counts, start

COMMANDS = ("runs", "status x", "watch x", "cancel x", "export x", "lineage abcdef", "enqueue job.yaml --no-check")


def test_a_database_without_tables(bare_command: CommandLine, job: Path, empty_database_url: str) -> None:
    for each in COMMANDS:
        message = bare_command.refused(1, *each.split(), DATABASE_URL=empty_database_url)
        assert "run `ensemble-instruct db upgrade`" in message
    assert row_counts(empty_database_url) == {}


def test_db_upgrade_mends_that_once_and_for_all(bare_command: CommandLine, empty_database_url: str) -> None:
    for _ in range(2):
        outcome = bare_command("db", "upgrade", DATABASE_URL=empty_database_url)
        assert (outcome.code, outcome.out) == (0, "")
        assert "the database is at revision" in outcome.err
    assert bare_command("runs", DATABASE_URL=empty_database_url).code == 0


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("postgresql://me:secret@127.0.0.1:1/db", 1, "postgresql://me:***@127.0.0.1:1/db can't be reached"),
        ("mysql://me:secret@localhost/db", 2, "DATABASE_URL is not an address of a database"),
        ("postgresql://me:secret@localhost:port/db", 2, "DATABASE_URL is not an address of a database"),
        ("secret", 2, "DATABASE_URL is not an address of a database"),
    ],
)
def test_a_database_address_that_leads_nowhere(doomed_command: CommandLine, url: str, code: int, told: str) -> None:
    message = doomed_command.refused(code, "runs", DATABASE_URL=url)
    assert told in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("redis://:secret@127.0.0.1:1/0", 1, "The broker at REDIS_URL can't be reached"),
        ("http://:secret@localhost", 2, "REDIS_URL is not an address of Redis or Valkey"),
        ("redis://:secret@localhost:port/0", 2, "REDIS_URL is not an address of Redis or Valkey"),
        ("redis://:secret@localhost/zero", 2, "REDIS_URL is not an address of Redis or Valkey"),
        ("secret", 2, "REDIS_URL is not an address of Redis or Valkey"),
    ],
)
def test_a_broker_address_that_leads_nowhere(
    doomed_command: CommandLine, job: Path, url: str, code: int, told: str
) -> None:
    message = doomed_command.refused(code, "enqueue", job, REDIS_URL=url)
    assert told in message
    assert "secret" not in message


def test_without_any_broker_the_embedded_one_is_named(doomed_command: CommandLine, job: Path) -> None:
    assert "ensemble-instruct local up" in doomed_command.refused(2, "enqueue", job, REDIS_URL="")


@pytest.mark.parametrize(("name", "value"), [("LOG_LEVEL", "loud"), ("LEASE_SLACK_S", "long")])
def test_a_setting_that_makes_no_sense(doomed_command: CommandLine, name: str, value: str) -> None:
    assert f"{name} can't be used: " in doomed_command.refused(2, "runs", **{name: value})


def test_the_embedded_stack_that_is_not_up_is_no_error(doomed_command: CommandLine) -> None:
    outcome = doomed_command("local", "status")
    assert (outcome.code, outcome.out) == (0, "")
    assert "ensemble-instruct local up" in outcome.err
    assert json.loads(doomed_command("local", "status", "--json").out) == []


def test_an_argument_that_is_no_text(doomed_command: CommandLine) -> None:
    assert "bytes that are not UTF-8" in doomed_command.refused(2, "status", "run\udcff")


def test_results_that_find_no_room(database_url: str) -> None:
    process = start("runs", "--json", environment={"DATABASE_URL": database_url}, first="exec >/dev/full;")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == "error: the output can't be written or read: No space left on device\n"


def test_json_for_a_reader_of_ascii(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO runs (id, name, job, fingerprint) VALUES (gen_random_uuid(), 'é', '{}', '')")
    process = start("runs", "--json", environment={"DATABASE_URL": database_url, "PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate(timeout=60)
    assert json.loads(out)[0]["name"] == "é"
