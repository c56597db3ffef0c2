"""A job or a run that uses what is retracted: refused, or told what it means."""

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.admin.command_line import CommandLine, row_counts

WHY = ("--reason", "it is wrong", "--by", "somebody")
NAMED = ("--set", "models.base.model=fake/model")


@pytest.fixture
def few_seeds(job: Path, tmp_path: Path) -> Path:
    """The job with two seed tasks for instructions with an input, and one for others."""
    seeds = [
        {
            "id": id,
            "name": id,
            "instruction": f"Carry out {id}.",
            "instances": [{"input": input, "output": "done"}],
            "is_classification": False,
        }
        for id, input in (("one", "this"), ("two", "that"), ("three", ""))
    ]
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, seeds)))
    content = yaml.safe_load(job.read_text())
    job.write_text(yaml.safe_dump({**content, "seeds": "few.jsonl"}))
    return job


@pytest.mark.parametrize("asks", ["enqueue", "validate"])
def test_retracted_seeds_are_left_out_and_that_is_said(command: CommandLine, few_seeds: Path, asks: str) -> None:
    command("enqueue", few_seeds)
    assert "retracted" not in command(asks, few_seeds).err
    command("retract", "--seed", "two", *WHY)
    outcome = command(asks, few_seeds)
    assert outcome.code == 0
    assert "1 of 3 seeds are retracted, and shown in no prompt: two (1: it is wrong)" in outcome.err


@pytest.mark.parametrize("asks", ["enqueue", "validate"])
def test_a_job_with_no_seed_left_to_show_is_refused(
    command: CommandLine, few_seeds: Path, asks: str, database_url: str
) -> None:
    command("enqueue", few_seeds)
    for seed in ("one", "two"):
        command("retract", "--seed", seed, *WHY)
    before = row_counts(database_url)
    told = command.refused(2, asks, few_seeds, "--no-check")
    assert "targets.input_output: every seed task of this type is retracted" in told
    assert row_counts(database_url) == before


@pytest.mark.parametrize("asks", ["enqueue", "validate"])
def test_a_job_with_a_retracted_template_or_model_is_refused(
    command: CommandLine, job: Path, asks: str, database_url: str
) -> None:
    command("enqueue", job, *NAMED)
    command("retract", "--prompt", "output_zero_shot@1", *WHY)
    command("retract", "--model", "fake/model", "--reason", "so is this")
    before = row_counts(database_url)
    told = command.refused(2, asks, job, *NAMED, "--no-check")
    assert "outputs.1.prompt: the template output_zero_shot@1 is retracted (1: it is wrong)" in told
    assert "models.base: the model fake/model is retracted (2: so is this)" in told
    assert "models.chat" not in told
    assert row_counts(database_url) == before
    for id in (1, 2):
        command("unretract", id)
    assert command(asks, job, *NAMED, "--no-check").code == 0


def test_a_model_that_may_be_a_retracted_one_is_warned_of(command: CommandLine, job: Path) -> None:
    command("enqueue", job, *NAMED)
    command("retract", "--model", "base", *WHY)
    by_what_its_server_says = command("enqueue", job).err
    assert "warning: models.base may be the model base that is retracted (1: it is wrong)" in by_what_its_server_says
    assert "warning: models.chat may be the model base" in by_what_its_server_says
    assert "may be the model" not in command("enqueue", job, "--no-check", "--set", "models.base.model=org/other").err


def test_a_job_is_checked_without_a_database_and_that_is_said(bare_command: CommandLine, job: Path) -> None:
    outcome = bare_command("validate", job)
    assert outcome.code == 0
    assert "whether any part of the job is retracted is not known: Postgres at" in outcome.err


def test_a_run_that_has_no_seed_left_cant_be_resumed(command: CommandLine, few_seeds: Path) -> None:
    command("enqueue", few_seeds, "--name", "mine")
    told = command("retract", "--seed", "three", *WHY, "--dry-run").err
    assert "run mine is running and has no seed task of type output_only left to show" in told
    command("retract", "--seed", "three", *WHY)
    assert json.loads(command("status", "mine", "--json").out)["state"] == "paused"
    assert "Every seed task of type output_only that run 'mine' could show is retracted" in command.refused(
        2, "resume", "mine"
    )
    command("unretract", "1")
    assert command("resume", "mine").code == 0


@pytest.mark.parametrize(("option", "what"), [("--model", "chat"), ("--prompt", "output_zero_shot@1")])
def test_who_retracts_and_who_resumes_is_told_what_goes_on(
    command: CommandLine, job: Path, option: str, what: str
) -> None:
    command("enqueue", job, "--name", "mine")
    warned = command("retract", option, what, *WHY).err
    assert "warning: run mine is running and goes on using it" in warned
    assert "ensemble-instruct cancel mine" in warned
    command("pause", "mine")
    assert f"warning: run mine uses {what}, which is retracted (1: it is wrong)" in command("resume", "mine").err


def test_a_retracted_model_gets_no_further_voice(command: CommandLine, job: Path, database_url: str) -> None:
    command("enqueue", job, "--name", "mine")
    command("pause", "mine")
    command("retract", "--model", "chat", *WHY)
    before = row_counts(database_url)
    voice = ("--name", "again", "--prompt", "output_few_shot")
    told = command.refused(2, "add-output", "mine", "--model", "chat", *voice)
    assert "models.chat: this run's model is retracted (1: it is wrong)" in told
    assert row_counts(database_url) == before
    command("unretract", "1")
    assert command("add-output", "mine", "--model", "chat", *voice).code == 0
