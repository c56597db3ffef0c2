import json
import re
import uuid
from pathlib import Path

import pytest

from shared.store.locks import lock
from shared.store.runs import begin_run
from shared.store.session import Sessions
from tests.integration.admin.command_line import CommandLine, row_counts
from tests.integration.admin.conftest import Finished
from tests.integration.store.judged import Outputs, plant_judged, three_voices
from tests.integration.store.planted import new_run

OUTPUTS: list[Outputs] = [
    ("red", "green", "blue"),
    ("a long and careful answer", "short", "short"),
    ("yes indeed", "yes indeed", "yes indeed"),
]


@pytest.fixture
def judged(sessions: Sessions) -> uuid.UUID:
    """A run that ended, named judged-1."""
    return plant_judged(sessions, OUTPUTS)


def test_a_table_says_what_changed(command: CommandLine, judged: uuid.UUID) -> None:
    outcome = command("rejudge", "judged-1", "--rule", "none")
    assert outcome.code == 0
    for line in (
        r"discarded before, kept now +1 +33\.3%",
        r"kept both times, another output +1 +33\.3%",
        r"instance +1 +3",
        r"one +1 +0",
        r"output_only +2 +2 +2",
    ):
        assert re.search(rf"^{line} *$", outcome.out, re.MULTILINE), line
    assert "  before  one: short\n  now     instance: a long and careful answer\n" in outcome.out
    assert outcome.err == (
        "judgement 1 of run judged-1 is written; export it with: ensemble-instruct export judged-1 --judgement 1\n"
    )


def test_a_program_is_told_the_same(command: CommandLine, judged: uuid.UUID) -> None:
    told = json.loads(command("rejudge", str(judged)[:8], "--rule", "none", "--threshold", "0.5", "--json").out)
    assert (told["judgement"], told["written"], told["instances"]) == (1, True, 3)
    assert (told["terms"]["rule"], told["terms"]["threshold"]) == ("none", 0.5)
    assert sum(told["changes"].values()) == 3
    assert told["wins"]["one"] == {"before": 1, "after": 0}
    assert told["examples"] == {"output_only": {"target": 2, "before": 2, "after": 2}}
    assert {sample["change"] for sample in told["samples"]} == {"newly_kept", "other_output"}


def test_a_dry_run_writes_nothing(command: CommandLine, judged: uuid.UUID, database_url: str) -> None:
    before = row_counts(database_url)
    outcome = command("rejudge", "judged-1", "--rule", "none", "--dry-run")
    assert (outcome.code, row_counts(database_url)) == (0, before)
    assert "nothing was written" in outcome.err
    assert outcome.out == command("rejudge", "judged-1", "--rule", "none").out


def test_of_many_changed_instances_some_are_shown_and_the_rest_counted(
    command: CommandLine, sessions: Sessions
) -> None:
    plant_judged(sessions, [("red", "green", "blue")] * 8 + [("a long and careful answer", "short", "short")] * 3)
    told = command("rejudge", "judged-1", "--rule", "none", "--dry-run").out
    assert told.count("\ndiscarded before, kept now: instance ") == 3
    assert told.count("\nand 5 more\n") == told.count(" more\n") == 1
    assert told.index("\nand 5 more\n") > told.rindex("\ndiscarded before, kept now: instance ")


def test_the_same_settings_again_name_the_judgement_that_is_there(
    command: CommandLine, judged: uuid.UUID, database_url: str
) -> None:
    first = command("rejudge", "judged-1", "--weight", "instance=2", "--family", "two=flan")
    command("rejudge", "judged-1", "--rule", "majority")
    before = row_counts(database_url)
    again = command("rejudge", "judged-1", "--family", "two=flan", "--weight", "instance=2.0")
    assert (again.code, again.out) == (0, first.out)
    assert again.err == "judgement 1 of run judged-1 was made with these settings, so nothing was written\n"
    own = command("rejudge", "judged-1", "--rule", "ensemble-instruct", "--threshold", "0.01")
    assert own.err == "judgement 0 of run judged-1 was made with these settings, so nothing was written\n"
    assert row_counts(database_url) == before


def test_a_judgement_is_exported_by_its_number(command: CommandLine, judged: uuid.UUID) -> None:
    command("rejudge", "judged-1", "--rule", "none")
    paths = [command("export", "judged-1", "--judgement", number).out.strip() for number in (0, 1)]
    assert paths == ["exports/judged-1/examples.jsonl", "exports/judged-1-judgement-1/examples.jsonl"]
    outputs = [[json.loads(line)["output"] for line in Path(path).read_text().splitlines()] for path in paths]
    assert outputs == [["short", "yes indeed"], ["red", "a long and careful answer"]]
    id = json.loads(Path(paths[1]).read_text().splitlines()[0])["id"]
    assert "decided by verdict " in (tree := command("lineage", id).out)
    assert "judgement 1, none: " in tree


def test_a_judgement_that_is_not_there_or_kept_nothing(command: CommandLine, judged: uuid.UUID) -> None:
    message = command.refused(2, "export", "judged-1", "--judgement", 7)
    assert "Run 'judged-1' has no judgement 7; it has 0." in message
    command("rejudge", "judged-1", "--rule", "majority", "--min-candidates", "3", "--family", "one=a")
    command("rejudge", "judged-1", "--threshold", "1", "--family", "one=a", "--family", "two=a")
    assert command("export", "judged-1", "--judgement", 2).code == 0
    command("rejudge", "judged-1", "--rule", "best-pair", "--threshold", "1")
    message = command.refused(2, "export", "judged-1", "--judgement", 3)
    assert "Judgement 3 of run 'judged-1' kept no example" in message


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weight", "three=2"], "--weight three=2: the run has no voice 'three'; voices: instance, one, two"),
        (["--weight", "one"], "--weight one: write it as VOICE=VALUE, for example --weight instance=2"),
        (["--weight", "one=heavy"], "--weight one=heavy: 'heavy' is no number"),
        (["--weight", "one=nan"], "--weight one=nan: should be above 0, and 1000 at most"),
        (["--weight", "one=0"], "--weight one=0: should be above 0"),
        (["--weight", "one=2", "--weight", "one=3"], "--weight one=3: the voice 'one' has a value already"),
        (["--family", "four=flan"], "--family four=flan: the run has no voice 'four'"),
        (["--family", "one=Flan T5"], "--family one=Flan T5: a family's name has lower-case letters"),
        (["--min-candidates", "4"], "--min-candidates 4, and the run has only 3 voices"),
        (
            [argument for voice in ("instance", "one", "two") for argument in ("--family", f"{voice}=flan")],
            "every voice is of the family 'flan', which has one vote",
        ),
    ],
)
def test_settings_that_make_no_sense(
    command: CommandLine, judged: uuid.UUID, database_url: str, arguments: list[str], told: str
) -> None:
    before = row_counts(database_url)
    assert told in command.refused(2, "rejudge", "judged-1", *arguments)
    assert row_counts(database_url) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rule", "best"], "'best' is not one of"),
        (["--threshold", "1.5"], "1.5 is not between 0 and 1"),
        (["--threshold", "nan"], "nan is not between 0 and 1"),
        (["--min-candidates", "0"], "should be greater than or equal to 1"),
    ],
)
def test_values_that_no_judgement_could_have(
    command: CommandLine, judged: uuid.UUID, arguments: list[str], told: str
) -> None:
    outcome = command("rejudge", "judged-1", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in " ".join(outcome.err.replace("│", " ").split())


def test_a_run_that_is_not_there_or_not_over_or_has_nothing_to_decide(command: CommandLine, sessions: Sessions) -> None:
    assert "There is no run 'nobody'" in command.refused(2, "rejudge", "nobody")
    with sessions.begin() as session:
        begin_run(session, new_run("young", job=three_voices()))
    assert "Run 'young' is still running" in command.refused(2, "rejudge", "young", "--rule", "none")
    command("cancel", "young")
    assert "Run 'young' has no verdicts" in command.refused(2, "rejudge", "young", "--rule", "none")


def test_two_commands_do_not_decide_a_run_at_once(command: CommandLine, judged: uuid.UUID, sessions: Sessions) -> None:
    with sessions.begin() as session:
        lock(session, "rejudge", judged)
        message = command.refused(1, "rejudge", "judged-1", "--rule", "none")
        assert "Another command is deciding run 'judged-1' anew" in message
        assert command("rejudge", "judged-1", "--rule", "none", "--dry-run").code == 0


def test_a_real_run_is_decided_anew_and_its_progress_stays(changing_command: CommandLine, changeable: Finished) -> None:
    before = changing_command("status", changeable.name, "--json").out
    assert changing_command("rejudge", changeable.name, "--rule", "none").code == 0
    assert _without_clock(changing_command("status", changeable.name, "--json").out) == _without_clock(before)
    assert changing_command("export", changeable.name, "--judgement", 1).code == 0


def _without_clock(status: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(status)
    return {name: value for name, value in told.items() if name not in ("now", "further")}
