"""`ensemble-instruct add-output`: what it says, and what it refuses."""

import json
from typing import LiteralString

import psycopg
import pytest

from services.admin import adding
from services.admin.model_check import Described, check_models
from shared.job import JobSpec
from shared.lm.fake import FakeServer
from tests.integration.admin.command_line import CommandLine, row_counts


def _described(url: str) -> list[str]:
    settings = {"protocol": "openai", "kind": "instruct", "endpoints": f"[{url}]"}
    return [part for name, value in settings.items() for part in ("--set", f"models.late.{name}={value}")]


def test_a_paused_run_gets_a_voice(command: CommandLine, begun: str, lm: FakeServer, database_url: str) -> None:
    command("pause", "small-1")
    outcome = command("add-output", "small-1", "--model", "late", *_described(lm.url))
    assert (outcome.code, outcome.out) == (0, "")
    assert "late is asked about 0 instances of run small-1" in outcome.err
    assert "ensemble-instruct resume small-1" in outcome.err
    assert "outputs.late" in outcome.err  # nobody listens there
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT job -> 'outputs' -> -1 ->> 'model', revision FROM runs").fetchone()
        prompts = connection.execute("SELECT count(*) FROM run_prompts").fetchone()
    assert row == ("late", 1)
    assert prompts
    assert {model["name"] for model in json.loads(command("status", "small-1", "--json").out)["models"]} >= {"late"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "nobody"), "there is no model 'nobody'"),
        (("--model", "chat"), "the voice 'chat' speaks twice"),
        (("--model", "chat", "--set", "seed=5"), "by settings that begin with models.chat."),
        (("--model", "late", "--set", "models.late.kind=instruct"), "models.late.endpoints: is missing"),
        (("--model", "base", "--name", "again", "--prompt", "none"), "there is no template 'none'"),
    ],
)
def test_what_can_not_be_added_leaves_the_run_as_it_is(
    command: CommandLine, begun: str, database_url: str, arguments: tuple[str, ...], told: str
) -> None:
    command("pause", "small-1")
    before = row_counts(database_url)
    assert told in command.refused(2, "add-output", "small-1", *arguments)
    assert row_counts(database_url) == before


def test_a_running_run_has_to_be_paused_first(command: CommandLine, begun: str, lm: FakeServer) -> None:
    message = command.refused(2, "add-output", "small-1", "--model", "late", *_described(lm.url))
    assert "Run 'small-1' is running; a voice can be added to a run that is paused or completed" in message
    assert "ensemble-instruct pause small-1" in message


def test_a_model_that_is_silent_is_not_added(command: CommandLine, begun: str, database_url: str) -> None:
    command("pause", "small-1")
    before = row_counts(database_url)
    described = _described("http://127.0.0.1:9")
    assert "models.late" in command.refused(1, "add-output", "small-1", "--model", "late", *described)
    assert row_counts(database_url) == before


@pytest.mark.parametrize("change", ["UPDATE runs SET revision = revision + 1", "UPDATE runs SET state = 'running'"])
def test_a_run_that_changes_while_its_job_is_looked_at_gets_no_voice(
    command: CommandLine,
    begun: str,
    lm: FakeServer,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    change: LiteralString,
) -> None:
    command("pause", "small-1")
    before = row_counts(database_url)

    def asked_while_somebody_else_is_at_it(job: JobSpec) -> Described:
        with psycopg.connect(database_url) as connection:
            connection.execute(change)
        return check_models(job)

    monkeypatch.setattr(adding, "check_models", asked_while_somebody_else_is_at_it)
    message = command.refused(1, "add-output", "small-1", "--model", "late", *_described(lm.url))
    assert "Somebody changed, resumed or ended run 'small-1'" in message
    assert "Try again" in message
    assert row_counts(database_url) == before
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM runs WHERE job::text LIKE '%late%'").fetchone() == (0,)
