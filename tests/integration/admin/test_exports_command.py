"""`exports` and `diff`: what was exported, and why two exports differ."""

import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.store.session import Sessions
from tests.integration.admin.command_line import CommandLine
from tests.integration.store.judged import Outputs, plant_judged

OUTPUTS: list[Outputs] = [
    ("a long and careful answer", "short", "short"),
    ("yes indeed", "yes indeed", "yes indeed"),
    ("red", "green", "blue"),
    ("we do so", "we see so", "we can so"),
]


@pytest.fixture
def judged(sessions: Sessions) -> uuid.UUID:
    """A run of three examples, without surplus."""
    run_id = plant_judged(sessions, OUTPUTS)
    with sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE examples SET surplus = false")
    return run_id


def exported(command: CommandLine, *arguments: object) -> str:
    """The id of an export."""
    return str(json.loads(command("export", *arguments, "--out", f"out/{uuid.uuid4()}", "--json").out)["id"])


def diff(command: CommandLine, first: str, second: str) -> dict[str, list[tuple[str, Any]]]:
    """Why examples went, came and changed, with what is known of it."""
    told = json.loads(command("diff", first[:8], second[:8], "--json").out)
    found: dict[str, list[tuple[str, Any]]] = {"went": [], "came": [], "changed": []}
    for each in told["differences"]:
        found[each["kind"]].append((each["why"], each["detail"]))
    return found


def test_they_are_listed_the_newest_first(command: CommandLine, judged: uuid.UUID) -> None:
    assert command("exports").err.startswith("nothing was exported yet")
    ids = [exported(command, "judged-1"), exported(command, "judged-1", "--limit", 1, "--format", "alpaca")]
    told = json.loads(command("exports", "--json").out)
    assert [each["id"] for each in told] == ids[::-1]
    lines = command("exports").out.splitlines()
    assert lines[1].split()[:3] == [ids[1][:8], "judged-1", "alpaca"]
    assert lines[1].split()[-2:] == ["1", "2"]


def test_an_earlier_export_is_made_again_by_its_id(command: CommandLine, judged: uuid.UUID) -> None:
    id = exported(command, "judged-1", "--where", "exact_match", "--format", "messages")
    outcome = command("export", "--as-of", id[:8])
    assert outcome.out == f"exports/{id[:8]}/messages.jsonl\n"
    assert "2 examples, the same as before; left out: where 1" in outcome.err
    assert len(json.loads(command("exports", "--json").out)) == 1


def test_nothing_differs_between_an_export_and_itself(command: CommandLine, judged: uuid.UUID) -> None:
    id = exported(command, "judged-1")
    assert diff(command, id, id) == {"went": [], "came": [], "changed": []}
    outcome = command("diff", id, id)
    assert outcome.out == ""
    assert "0 went, 0 came, 0 changed" in outcome.err


def test_a_filter_is_told_as_what_took_an_example_and_both_ways_round(command: CommandLine, judged: uuid.UUID) -> None:
    every = exported(command, "judged-1")
    Path("eval.txt").write_text("write number 1\n")
    filters = {
        ("where", None): ("--where", "output <> 'short'"),
        ("limit", None): ("--limit", 2),
        ("contaminated", None): ("--decontaminate", "eval.txt"),
        ("agreement", None): ("--min-agreement", 0.6),
    }
    for (why, _), options in filters.items():
        some = exported(command, "judged-1", *options)
        went = diff(command, every, some)["went"]
        assert {each for each, _ in went} == {why}
        assert diff(command, some, every)["came"] == went
    (contaminated,) = diff(command, every, exported(command, "judged-1", "--decontaminate", "eval.txt"))["went"]
    assert contaminated == ("contaminated", {"file": "eval.txt", "line": 1, "ngram": "write number 1"})


def test_a_run_that_only_one_export_has(command: CommandLine, judged: uuid.UUID, sessions: Sessions) -> None:
    plant_judged(sessions, OUTPUTS[:2], "judged-2")
    one, both = exported(command, "judged-1"), exported(command, "judged-1", "judged-2")
    assert diff(command, one, both) == {"went": [], "came": [("run_missing", None)] * 2, "changed": []}
    assert [why for why, _ in diff(command, both, one)["went"]] == ["run_missing"] * 2


def test_another_judgement_chooses_otherwise_or_discards(command: CommandLine, judged: uuid.UUID) -> None:
    command("rejudge", "judged-1", "--rule", "none")
    command("rejudge", "judged-1", "--rule", "majority")
    own, none, majority = (exported(command, "judged-1", "--judgement", number, "--surplus") for number in range(3))
    found = diff(command, own, none)
    assert found["came"] == [("discarded", {"judgement": 0, "reason": "low_agreement"})]
    assert ("other_output", {"output": ["short", "a long and careful answer"], "judgement": [0, 1]}) in found["changed"]
    assert ("discarded", {"judgement": 2, "reason": "no_majority"}) in diff(command, own, majority)["went"]
    assert "judgement 2: no_majority" in command("diff", own, majority).out


def test_surplus_and_what_was_made_later(command: CommandLine, judged: uuid.UUID, database_url: str) -> None:
    every = exported(command, "judged-1")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE examples SET surplus = true WHERE output = 'yes indeed'")
    wanted = exported(command, "judged-1")
    assert diff(command, every, wanted)["went"] == [("surplus", None)]
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE examples SET surplus = false, created_at = now() + interval '1 hour' WHERE surplus")
    assert diff(command, wanted, every)["came"] == [("later", None)]


def test_an_example_moves_to_another_split_only_over_its_limit(command: CommandLine, judged: uuid.UUID) -> None:
    first = exported(command, "judged-1", "--split", "train=0.999999,test=0.000001")
    second = exported(command, "judged-1", "--split", "train=0.000001,test=0.999999")
    assert diff(command, first, second)["changed"] == [("moved", {"split": ["train", "test"]})] * 3
    outcome = command("diff", first, second)
    assert "train → test" in outcome.out
    assert "split: train, 0.999999, test, 0.000001 → train, 0.000001, test, 0.999999" in outcome.err


@pytest.mark.parametrize("id", ["abcdef12", "abc", "no-id", ""])
def test_an_export_that_is_not_there(command: CommandLine, judged: uuid.UUID, id: str) -> None:
    there = exported(command, "judged-1")
    assert f"There is no export '{id}'" in command.refused(2, "diff", there, id)
