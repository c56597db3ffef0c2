"""`ensemble-instruct plan`: figures of an earlier run, of a probe or from a file, and a plan as a person reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.lm.fake import FakeServer
from shared.lm.fake_faults import FakeFault
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from tests.integration.admin.command_line import CommandLine, Outcome
from tests.integration.admin.conftest import Finished

GONE = "http://127.0.0.1:1"
FEW = ("--set", "targets.input_output=20", "--set", "targets.output_only=10", "--workers", 1)


def plan_of(outcome: Outcome) -> dict[str, Any]:
    """The plan that was printed as JSON."""
    assert outcome.code == 0, outcome.err
    made: dict[str, Any] = json.loads(outcome.out)
    return made


def at(lm: FakeServer) -> list[str]:
    """The options that put both models behind a server."""
    return [part for name in ("base", "chat") for part in ("--set", f"models.{name}.endpoints=[{lm.url}]")]


def test_an_earlier_runs_figures_are_planned_with(
    later_command: CommandLine, finished: Finished, job: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "figures.yaml"
    given = ("plan", job, *FEW, "--from", finished.name, "--save-figures", saved, "--json")
    made = plan_of(later_command(*given))
    assert made["source"].startswith(f"run {finished.name}, ")
    assert made["targets"] == {"input_output": 20, "output_only": 10}
    assert made["calls"]["calls"] == pytest.approx(sum(each["calls"] for each in made["queues"]), abs=3)
    assert made["calls"]["prompt_tokens"] > 100 * made["calls"]["calls"]
    assert 0 < made["low_s"] < made["seconds"] < made["high_s"]
    assert {each["table"] for each in made["tables"]} > {"generations", "examples"}

    figures = yaml.safe_load(saved.read_text())
    assert {(each["stage"], each["model"]) for each in figures["calls"]} == {
        ("instruction", "base"),
        ("instance", "base"),
        ("output", "base"),
        ("output", "chat"),
    }
    assert all(each["latency_s"]["quantiles"]["0.5"] > 0 for each in figures["calls"])
    assert figures["yields"]["input_output"]["verdicts"]["of"] >= 3
    assert figures["models"]["base"]["servers"] == 1

    again = plan_of(later_command("plan", job, *FEW, "--figures", saved, "--json"))
    assert again == {**made, "notes": made["notes"][1:]}
    assert "had other settings" in made["notes"][0]


def test_a_person_reads_what_each_pool_needs(later_command: CommandLine, finished: Finished, job: Path) -> None:
    outcome = later_command("plan", job, *FEW, "--from", finished.id[:8], "--gpu-price", 2, "--deadline", "1h")
    assert outcome.code == 0, outcome.err
    for part in (
        "small: 20 input_output and 10 output_only examples, with the figures of run",
        "outputs.chat",
        "which cost 0.0",
        "generations",
        "bottleneck: ",
        "what would relieve it: ",
        "to be done in 1 h 0 min",
    ):
        assert part in outcome.out
    assert "the yield of verdicts was measured on" in outcome.err


def test_settings_that_the_earlier_run_had_otherwise_are_named(
    later_command: CommandLine, finished: Finished, job: Path
) -> None:
    told = later_command("plan", job, *FEW, "--from", finished.name).err
    assert f"run {finished.name} had other settings, so its figures may not hold: " in " ".join(told.split())
    assert "instructions.demonstrations.input_output.seeds" in told
    assert "lookahead" not in told


def test_a_probe_really_calls_the_jobs_servers_and_needs_no_database(bare_command: CommandLine, job: Path) -> None:
    with FakeServer(record=True) as lm:
        made = plan_of(bare_command("plan", job, *FEW, *at(lm), "--probe", 4, "--json"))
    # 4 proposals and 4 instances of both types, and both voices' outputs of those instances that were accepted.
    assert 16 < len(lm.requests) <= 32
    assert made["source"] == f"a probe of {len(lm.requests)} calls"
    assert made["calls"]["calls"] > 100


def test_a_probe_sends_what_a_worker_sends(command: CommandLine, job: Path) -> None:
    with FakeServer(record=True) as lm:
        assert command("plan", job, *at(lm), "--workers", 1, "--probe", 2).code == 0
        bodies = [body for body in lm.bodies if body]
    proposals = [body for body in bodies if str(body.get("inputs", "")).rstrip().endswith(":")]
    assert len(proposals) >= 4
    assert all("Task 1:" in str(body["inputs"]) for body in proposals[:2])
    assert any("messages" in body for body in bodies)


def test_servers_that_are_away_end_a_probe_by_name(command: CommandLine, job: Path) -> None:
    told = command.refused(1, "plan", job, "--probe", 1, "--set", f"models.chat.endpoints=[{GONE}]")
    assert "models.chat: " in told
    assert "--from RUN" in told


def test_a_server_that_never_answers_ends_a_probe_by_its_fault(command: CommandLine, job: Path) -> None:
    def respond(request: FakeRequest) -> FakeAnswer | FakeFault:
        return FakeFault(status=500, body=b'{"error": "out of memory"}') if request.chat else plausible(request)

    with FakeServer(respond) as lm:
        told = command.refused(1, "plan", job, "--probe", 3, "--set", f"models.chat.endpoints=[{lm.url}]")
    assert "models.chat, outputs of " in told
    assert "out of memory" in told


def test_a_probe_of_which_nothing_is_kept_says_why(command: CommandLine, job: Path) -> None:
    with FakeServer(lambda _: FakeAnswer(" do it\n\nTask 2:")) as lm:
        told = command.refused(2, "plan", job, *at(lm), "--probe", 3)
    assert "can't be met: of 3 proposals measured none led to an accepted instruction (too_short 3)" in told


def test_a_run_without_a_stage_and_a_model_without_figures_are_told_of(
    later_command: CommandLine, finished: Finished, job: Path
) -> None:
    new = "models.new={protocol: openai, kind: instruct, endpoints: [http://127.0.0.1:1]}"
    voice = "outputs=[{model: chat}, {model: new}]"
    told = later_command.refused(2, "plan", job, "--set", new, "--set", voice, "--from", finished.name)
    assert f"run {finished.name}, " in told
    assert "it has the models base, chat, and the job has base, chat, new; calls of new for outputs of" in told
    assert "calls of new for outputs of input_output; calls of new for outputs of output_only" in told
    assert "--probe N" in told


def test_a_run_that_measured_nothing_is_refused(command: CommandLine, begun: str, job: Path) -> None:
    assert "has no answered call to measure by" in command.refused(2, "plan", job, "--from", begun)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "Say once where the figures come from"),
        (("--from", "x", "--probe", 1), "Say once where the figures come from"),
        (("--from", "no-such-run"), "There is no run 'no-such-run'"),
        (("--figures", "none.yaml"), "none.yaml holds no figures to plan with"),
        (("--probe", 1, "--deadline", "soon"), "--deadline soon: write a length of time above 0"),
        (("--probe", 1, "--gpus", "base"), "--gpus base: '' is no whole number from 1 to 1,024"),
        (("--probe", 1, "--gpus", "gpt=2"), "the job has no model 'gpt'; models: base, chat"),
    ],
)
def test_what_can_not_be_planned_is_refused_before_any_work(
    doomed_command: CommandLine, job: Path, options: tuple[object, ...], told: str
) -> None:
    assert told in doomed_command.refused(2, "plan", job, *options)


def test_figures_are_not_written_over_others_nor_measured_in_vain(
    command: CommandLine, job: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "mine.yaml"
    taken.write_text("mine")
    with FakeServer(record=True) as lm:
        told = command.refused(2, "plan", job, *at(lm), "--probe", 1, "--save-figures", taken)
    assert "exists already" in told
    assert (taken.read_text(), lm.requests) == ("mine", [])
