"""`ensemble-instruct retract`: what came of a thing is marked and left out, as foretold; `unretract` undoes it."""

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from shared.store import descent, roots
from shared.store.descent import trace
from shared.store.session import make_engine, make_sessions
from shared.store.tables.retractions import RootKind
from tests.integration.admin.command_line import CommandLine, row_counts
from tests.integration.admin.conftest import Finished

# Of each kind something that some examples came of, and others did not, where there is such a thing.
THINGS = {
    "seed": (RootKind.SEED, "SELECT source_id FROM lineage.seed_influence ORDER BY examples, 1 LIMIT 1"),
    "model": (RootKind.MODEL, "SELECT 'chat'"),
    "prompt": (
        RootKind.PROMPT,
        "SELECT name || '@' || version FROM prompt_templates WHERE name = 'instruction_output_only'",
    ),
    "instruction": (
        RootKind.INSTRUCTION,
        "SELECT instruction_id FROM lineage.examples ORDER BY position LIMIT 1",
    ),
    "example": (RootKind.EXAMPLE, "SELECT id FROM examples WHERE NOT surplus ORDER BY task_type, position LIMIT 1"),
}
WHY = ("--reason", "the licence was wrong", "--by", "somebody")


def rows(finished: Finished, query: str, *given: Any) -> list[Any]:
    """What a query gives, as texts."""
    with psycopg.connect(finished.database_url) as connection:
        return [tuple(map(str, row)) for row in connection.execute(query, given).fetchall()]


def named(finished: Finished, option: str) -> tuple[str, str]:
    """The option and the name of a thing."""
    return f"--{option}", rows(finished, THINGS[option][1])[0][0]


def exported(command: CommandLine, run: str, *options: object) -> dict[str, str]:
    """The examples that an export holds: their outputs by their ids."""
    folder = Path(f"out-{uuid.uuid4().hex}")
    outcome = command("export", run, "--out", folder, *options)
    assert outcome.code == 0, outcome.err
    lines = Path(outcome.out.strip()).read_text().splitlines()
    return {row["id"]: row["output"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("option", THINGS)
def test_what_is_retracted_is_what_the_dry_run_and_the_lineage_say(
    changing_command: CommandLine, changeable: Finished, option: str
) -> None:
    thing = named(changeable, option)
    real = retracted_as_foretold(changing_command, changeable, *thing)
    if option != "example":
        downstream = json.loads(changing_command("impact", *thing, "--json").out)
        assert real["records"]["example"] == len(downstream)
        assert real["examples"] == downstream[:20]
    assert real["records"].keys() >= {THINGS[option][0], "example"}


def retracted_as_foretold(command: CommandLine, finished: Finished, *thing: str) -> dict[str, Any]:
    """What retracting a thing tells: the dry run has told the same, and the lineage says what is marked."""
    dry = json.loads(command("retract", *thing, *WHY, "--dry-run", "--json").out)
    real: dict[str, Any] = json.loads(command("retract", *thing, *WHY, "--json").out)
    assert (dry.pop("retraction"), dry.pop("dry_run")) == (None, True)
    assert (real.pop("retraction"), real.pop("dry_run")) == (1, False)
    assert dry == real
    expected = rows(
        finished,
        "SELECT r.kind, r.record_id, 0 FROM retraction_roots r UNION SELECT d.descendant_kind, d.descendant_id,"
        " min(d.distance) FROM retraction_roots r, lineage.descendants(r.kind, r.record_id) d GROUP BY 1, 2",
    )
    marked = rows(finished, "SELECT kind, record_id, distance FROM lineage.retracted_records WHERE NOT undone")
    assert sorted(marked) == sorted(expected)
    assert real["records"] == Counter(kind for kind, *_ in marked)
    return real


@pytest.mark.parametrize("option", THINGS)
def test_an_export_leaves_out_what_is_retracted_until_it_is_undone(
    changing_command: CommandLine, changeable: Finished, option: str
) -> None:
    before = exported(changing_command, changeable.name)
    changing_command("retract", *named(changeable, option), *WHY)
    gone = {id for (id,) in rows(changeable, "SELECT id FROM lineage.examples WHERE retracted")}
    assert gone
    if gone >= set(before):
        message = changing_command.refused(2, "export", changeable.name)
        assert "All 5 examples of what is asked for are retracted" in message
    else:
        assert set(exported(changing_command, changeable.name)) == set(before) - gone
    assert changing_command("unretract", "1").code == 0
    assert exported(changing_command, changeable.name) == before
    assert rows(changeable, "SELECT id FROM lineage.examples WHERE retracted") == []


def test_of_two_that_overlap_one_stays_when_the_other_is_undone(
    changing_command: CommandLine, changeable: Finished
) -> None:
    changing_command("retract", *named(changeable, "example"), *WHY)
    changing_command("retract", "--model", "chat", *WHY)
    retracted = "SELECT id FROM lineage.examples WHERE retracted"
    assert len(rows(changeable, retracted)) > 1
    changing_command("unretract", "2", "--reason", "it was fine", "--by", "me")
    assert rows(changeable, retracted) == [(named(changeable, "example")[1],)]
    told = json.loads(changing_command("retractions", "--json").out)
    assert [(each["retraction"], each["what"], each["undone_by"], each["undone_reason"]) for each in told] == [
        (2, "chat", "me", "it was fine"),
        (1, named(changeable, "example")[1], None, None),
    ]
    assert told[1]["records"] == {"example": 1}


def test_a_dry_run_writes_nothing(changing_command: CommandLine, changeable: Finished) -> None:
    before = row_counts(changeable.database_url)
    outcome = changing_command("retract", "--model", "base", *WHY, "--dry-run")
    assert (outcome.code, row_counts(changeable.database_url)) == (0, before)
    assert "nothing was written" in outcome.err


def test_a_person_is_told_how_much_and_how_to_undo_it(changing_command: CommandLine, changeable: Finished) -> None:
    outcome = changing_command("retract", "--model", "chat", "--reason", "bad licence")
    assert "retraction 1: model chat is retracted with all of this" in outcome.err
    assert "undo it with: ensemble-instruct unretract 1" in outcome.err
    heads, run, *_ = (line.split() for line in outcome.out.splitlines())
    assert heads == ["run", "examples", "verdicts", "candidates", "instances", "instructions", "generations"]
    assert (run[0], run[1], run[4:6]) == (
        "small-1",
        str(rows(changeable, "SELECT count(*) FROM examples")[0][0]),
        ["0", "0"],
    )
    listed = changing_command("retractions").out
    assert "model chat" in listed
    assert "bad licence" in listed


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "Name one thing to retract"),
    "two": (("--seed", "a", "--model", "base"), "Name one thing to retract"),
    "nobody": (("--model", "nobody"), "There is no model 'nobody'"),
    "no-example": (("--example", "abcdef12"), "There is no record 'abcdef12'"),
    "no-name": (("--model", "base", "--by", " "), "It is not known who you are"),
}


@pytest.mark.parametrize(("arguments", "told"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(
    later_command: CommandLine, finished: Finished, arguments: tuple[str, ...], told: str
) -> None:
    before = row_counts(finished.database_url)
    assert told in later_command.refused(2, "retract", "--reason", "it is bad", *arguments)
    assert row_counts(finished.database_url) == before


@pytest.mark.parametrize("reason", [(), ("--reason", ""), ("--reason", " ")])
def test_a_reason_is_needed(later_command: CommandLine, reason: tuple[str, ...]) -> None:
    assert "Say why: --reason is empty" in later_command.refused(2, "retract", "--model", "base", *reason)


def test_an_example_is_no_instruction(later_command: CommandLine, finished: Finished) -> None:
    id = named(finished, "example")[1]
    assert "It is the id of: example." in later_command.refused(2, "retract", "--instruction", id, *WHY)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_same_is_not_retracted_twice(
    changing_command: CommandLine, changeable: Finished, dry: tuple[str, ...]
) -> None:
    changing_command("retract", "--model", "base", *WHY)
    before = row_counts(changeable.database_url)
    told = changing_command.refused(2, "retract", "--model", "base", "--reason", "again", *dry)
    assert (
        "Model base is retracted already: by somebody in retraction 1, for this reason: the licence was wrong" in told
    )
    assert row_counts(changeable.database_url) == before
    changing_command("unretract", "1")
    assert changing_command("retract", "--model", "base", "--reason", "again", *dry).code == 0


def test_undoing_twice_or_nothing_is_refused(changing_command: CommandLine) -> None:
    assert "There is no retraction 1" in changing_command.refused(2, "unretract", "1")
    changing_command("retract", "--model", "base", *WHY)
    assert changing_command("unretract", "1", "--by", "me").code == 0
    assert "Retraction 1 was undone already, by me" in changing_command.refused(2, "unretract", "1")
    assert changing_command("unretract", "one").code == 2


def test_a_name_of_several_things_is_refused_until_one_is_named(
    changing_command: CommandLine, changeable: Finished
) -> None:
    seed, run = named(changeable, "seed")[1], uuid.uuid4()
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO seed_tasks SELECT gen_random_uuid(), source_id, name, task_type, 'Another.', instances,"
            " is_classification FROM seed_tasks WHERE source_id = %s",
            [seed],
        )
        connection.execute(
            "INSERT INTO runs (id, name, job, fingerprint, state, finished_at)"
            " SELECT %s, 'other', job, fingerprint, state, finished_at FROM runs",
            [run],
        )
        connection.execute(
            "INSERT INTO models SELECT gen_random_uuid(), %s, name, protocol, kind, 'org/other', licence FROM models"
            " WHERE name = 'base'",
            [run],
        )
    for option, name in (("--seed", seed), ("--model", "base")):
        told = changing_command.refused(2, "retract", option, name, *WHY)
        assert f"'{name}' is the name of several" in told
        id = told.rpartition("(")[2].partition(")")[0]
        assert changing_command("retract", option, id, *WHY).code == 0


def test_the_lineage_says_what_is_retracted_and_why(changing_command: CommandLine, changeable: Finished) -> None:
    changing_command("retract", *named(changeable, "seed"), *WHY)
    ((id,), *_) = rows(changeable, "SELECT id FROM lineage.examples WHERE retracted ORDER BY id")
    tree = changing_command("lineage", id).out
    assert tree.startswith(f"example {id[:8]}  retracted (1: the licence was wrong)  ")
    told = json.loads(changing_command("lineage", id, "--json").out)
    mark = {"retraction": 1, "reason": "the licence was wrong"}
    marked = {record for _, record, _ in rows(changeable, "SELECT kind, record_id, distance FROM retracted_records")}
    assert {node["id"] for node in told["nodes"] if node["retracted"] == [mark]} == marked & {
        n["id"] for n in told["nodes"]
    }
    drawn = changing_command("lineage", id, "--dot").out.splitlines()
    assert sum("color=red" in line for line in drawn) == sum(bool(node["retracted"]) for node in told["nodes"])
    assert '"ei:retracted": "the licence was wrong"' in changing_command("lineage", id, "--prov").out


def test_status_tells_how_many_examples_are_retracted(changing_command: CommandLine, changeable: Finished) -> None:
    assert "retracted" not in changing_command("status", changeable.name).out
    changing_command("retract", *named(changeable, "example"), *WHY)
    assert "retracted: 1 of these examples" in changing_command("status", changeable.name).out
    assert json.loads(changing_command("status", changeable.name, "--json").out)["retracted"] == 1


DAMAGE = {
    "DELETE FROM retracted_records WHERE kind = 'verdict'": {
        "retracted records unmarked",
        "retraction marks misplaced",
    },
    "UPDATE retracted_records SET distance = 9 WHERE kind = 'verdict'": {"retraction marks misplaced"},
    "DELETE FROM retracted_records WHERE distance = 0": {"retracted things unmarked", "retraction marks misplaced"},
    "INSERT INTO retracted_records SELECT id, 1, 'instruction', 7 FROM instructions": {
        *("retraction marks misplaced", "retracted records unmarked"),
    },
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGE.items())
def test_the_audit_finds_marks_that_are_missing_or_have_no_cause(
    changing_command: CommandLine, changeable: Finished, damage: str, expected: set[str]
) -> None:
    changing_command("retract", "--model", "chat", *WHY)
    assert changing_command("audit", changeable.name).code == 0
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        assert connection.execute(damage).rowcount > 0
    checks = json.loads(changing_command("audit", changeable.name, "--json").out)["checks"]
    assert {each["name"] for each in checks if each["violations"]} == expected
    changing_command("unretract", "1")
    assert changing_command("audit", changeable.name).code == 0


@pytest.mark.parametrize("few", [0, descent.FEW])
def test_what_is_traced_is_what_the_lineage_says_however_it_looks_it_up(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(descent, "FEW", few)
    engine = make_engine(finished.database_url)
    with make_sessions(engine)() as session:
        function = "SELECT pg_get_functiondef('lineage.descendants'::regproc)"
        source = session.execute(text(function)).scalar_one()
        session.execute(text(source.replace("integer := 2000", f"integer := {few}").replace(":", r"\:")))
        for option, (kind, query) in THINGS.items():
            found = roots.find_roots(session, kind, rows(finished, query)[0][0])
            trace(session, found)
            traced = {tuple(row) for row in session.execute(text("SELECT kind, id, distance FROM descent"))}
            told = {
                tuple(row)
                for root in found
                for row in session.execute(
                    text("SELECT * FROM lineage.descendants(:kind, :id)"), {"kind": root.kind, "id": root.id}
                )
            }
            assert traced == told | {(root.kind, root.id, 0) for root in found}, option
    engine.dispose()
