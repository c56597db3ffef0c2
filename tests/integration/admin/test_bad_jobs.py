"""A job that can't run is refused with the field's name and leaves nothing behind."""

from pathlib import Path

import pytest

from shared.lm.fake import FakeFault, FakeServer
from tests.integration.admin.command_line import CommandLine

SEED = '{"id": "%s", "name": "n", "instruction": "i", "instances": [%s], "is_classification": false}\n'
INSTANCE = '{"input": "", "output": "o"}'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("instructions.model=nobody", "instructions.model (--set): there is no model 'nobody'; models: base, chat"),
        ("outputs.1.model=nobody", "outputs.1.model (--set): there is no model 'nobody'"),
        (
            "targets.output_only=0",
            "targets.output_only (--set): must be 1 or more; to make none of a type, leave it out",
        ),
        ("outputs.1.model=base", "outputs.1 (line 21): the voice 'base' speaks twice; give it a `name`"),
        ("outputs.0.prompt=mine", "outputs.0.prompt: there is no template 'mine'; for this there are: output_few_shot"),
        ("outputs.0.prompt=instance_output_only", "outputs.0.prompt: 'instance_output_only' is for the stage"),
        ("prompts=nowhere", "nowhere can't be used: it is not a folder"),
        ("seeds=nowhere.jsonl", "nowhere.jsonl can't be read: No such file or directory"),
        ("models.base.endpoints=[http://me:secret@h]", "models.base.endpoints.0 (--set): holds a login"),
        ("models.base.endpoint=x", "models.base.endpoint (--set): there is no such setting; check its spelling"),
        ("outputs=[]", "outputs (--set): a consensus needs a voice"),
        ("name.first=x", "--set name.first=x: the job has no such place"),
    ],
)
def test_a_faulty_setting(doomed_command: CommandLine, job: Path, change: str, told: str) -> None:
    message = doomed_command.refused(2, "enqueue", job, "--no-check", "--set", change)
    assert told in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        (SEED % ("a", INSTANCE) + "{broken\n", "line 2: is not JSON"),
        (SEED % ("a", INSTANCE) * 2, "line 2: id: 'a' is taken by line 1"),
        (SEED % ("a", ""), "line 1: instances: List should have at least 1 item"),
        (SEED % ("a", INSTANCE), "targets.input_output: the seed file"),
        ("", "there is no seed task"),
        ("x\n" * 1000, "and 990 more"),
    ],
    ids=["broken line", "duplicate id", "no instance", "none of a type", "empty", "endless"],
)
def test_a_faulty_seed_file(doomed_command: CommandLine, job: Path, seeds: str, told: str) -> None:
    job.with_name("seeds.jsonl").write_text(seeds)
    assert told in doomed_command.refused(2, "enqueue", job, "--no-check", "--set", "seeds=seeds.jsonl")


def test_a_template_for_one_type_serves_no_voice_of_a_job_with_both(doomed_command: CommandLine, job: Path) -> None:
    shipped = Path(__file__).parents[3] / "prompts" / "output_few_shot.md.j2"
    own = shipped.read_text().replace("task_type: null", "task_type: output_only")
    job.with_name("own").mkdir()
    (job.with_name("own") / "own.md.j2").write_text(own)
    both = ("validate", job, "--no-check", "--set", "prompts=own")
    told = (
        "outputs.0.prompt: 'output_few_shot' is for output_only alone, and is wanted for input_output and output_only"
    )
    assert told in doomed_command.refused(2, *both)
    assert doomed_command(*both, "--set", "targets={output_only: 1}").code == 0


def test_a_server_that_is_not_there(doomed_command: CommandLine, job: Path) -> None:
    message = doomed_command.refused(1, "enqueue", job, "--set", "models.chat.endpoints=[http://127.0.0.1:1]")
    assert "models.chat: http://127.0.0.1:1 can't be reached" in message
    assert "--no-check" in message


@pytest.mark.parametrize("change", ["models.chat.model=another/model", "models.chat.api_key_env=UNSET_VARIABLE"])
def test_a_server_that_is_another(doomed_command: CommandLine, job: Path, change: str) -> None:
    message = doomed_command.refused(2, "enqueue", job, "--set", change)
    assert "models.chat: http://127.0.0.1" in message
    assert "it serves fake/model, not another/model" in message or "UNSET_VARIABLE" in message


@pytest.mark.parametrize(
    ("protocol", "mend"),
    [
        ("tgi", "if it speaks OpenAI's protocol, as vLLM and llama.cpp do, write protocol: openai"),
        ("openai", "if it speaks TGI's own protocol, write protocol: tgi"),
    ],
)
def test_a_server_that_speaks_another_protocol(
    doomed_command: CommandLine, job: Path, protocol: str, mend: str
) -> None:
    with FakeServer(description_fault=FakeFault(404, b"not here")) as other:
        changes = (f"models.base.endpoints=[{other.url}]", f"models.base.protocol={protocol}")
        message = doomed_command.refused(2, "enqueue", job, *(part for each in changes for part in ("--set", each)))
    assert f"models.base: {other.url} can't be used as the job says: 404 not here; {mend}" in message


def test_every_faulty_model_is_told_of_at_once(doomed_command: CommandLine, job: Path) -> None:
    changes = [f"models.{name}.endpoints=[http://127.0.0.1:1]" for name in ("base", "chat")]
    message = doomed_command.refused(1, "validate", job, "--set", changes[0], "--set", changes[1])
    assert "models.base: " in message
    assert "models.chat: " in message


def test_a_seed_file_is_checked_line_by_line(doomed_command: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(SEED % ("a", "") + "{\n")
    outcome = doomed_command("validate-seeds", path)
    assert outcome.code == 2
    assert [line.partition(": ")[0] for line in outcome.out.splitlines()] == [f"{path}:1", f"{path}:2"]
    assert "has 2 fault(s)" in outcome.err
    assert doomed_command("validate-seeds", path, "--json").out.startswith(
        '[\n  {\n    "line": 1,\n    "field": "instances"'
    )


def test_the_shipped_seeds_are_good(doomed_command: CommandLine) -> None:
    assert "175 tasks (125 input_output, 50 output_only)" in doomed_command("validate-seeds").out
    assert doomed_command("validate-seeds", "--json").out == "[]\n"
