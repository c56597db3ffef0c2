"""An output model went bad: `retract` its outputs, `rejudge` without them, and the examples are saved."""

import json

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished
from tests.integration.admin.test_retract_command import WHY, exported, named, rows

COMPARED = (
    "SELECT DISTINCT v.judgement, c.voice FROM lineage.verdicts v JOIN lineage.candidates c"
    " ON c.id = ANY (v.candidate_ids) ORDER BY 1, 2"
)


def test_examples_come_clean_out_of_a_judgement_without_them(
    changing_command: CommandLine, changeable: Finished
) -> None:
    before = exported(changing_command, changeable.name)
    changing_command("retract", "--model", "chat", *WHY)
    told = changing_command.refused(2, "export", changeable.name)
    assert f"decide anew without them: ensemble-instruct rejudge {changeable.name}" in told

    outcome = changing_command("rejudge", changeable.name)
    assert "judgement 1 of run small-1 is written" in outcome.err
    instances = rows(changeable, "SELECT count(DISTINCT instance_id) FROM verdicts")[0][0]
    assert f"left out as retracted: 0 instances, {instances} outputs of others" in outcome.out

    saved = exported(changing_command, changeable.name, "--judgement", 1)
    assert len(saved) == len(before) == 5
    assert rows(changeable, COMPARED) == [
        *(("0", voice) for voice in ("base", "chat", "instance")),
        *(("1", voice) for voice in ("base", "instance")),
    ]
    ancestors = """
        SELECT DISTINCT m.name FROM lineage.examples e CROSS JOIN LATERAL lineage.ancestors('example', e.id) a
        JOIN models m ON m.id = a.ancestor_id WHERE e.judgement = 1
    """
    assert rows(changeable, ancestors) == [("base",)]
    assert changing_command("audit", changeable.name).code == 0


def test_a_dry_run_says_what_the_judgement_would_be(changing_command: CommandLine, changeable: Finished) -> None:
    changing_command("retract", "--model", "chat", *WHY)
    dry = json.loads(changing_command("rejudge", changeable.name, "--dry-run", "--json").out)
    real = json.loads(changing_command("rejudge", changeable.name, "--json").out)
    assert dry["retracted"] == real["retracted"]
    assert real["retracted"]["outputs"] > 0
    assert dry["changes"] == real["changes"]


def test_an_instance_whose_instruction_is_retracted_stays_out(
    changing_command: CommandLine, changeable: Finished
) -> None:
    instruction = named(changeable, "instruction")
    changing_command("retract", *instruction, *WHY)
    outcome = changing_command("rejudge", changeable.name)
    assert " is written" in outcome.err
    query = "SELECT state, reason, candidate_ids FROM lineage.verdicts WHERE judgement = 1 AND instruction_id = %s"
    assert rows(changeable, query, instruction[1]) == [("rejected", "retracted", "[]")]
    of_it = "SELECT id FROM lineage.examples WHERE judgement = 1 AND (retracted OR instruction_id = %s)"
    assert rows(changeable, of_it, instruction[1]) == []
    assert changing_command("audit", changeable.name).code == 0


@pytest.mark.parametrize("option", ["model", "instruction"])
def test_what_is_retracted_or_put_in_force_again_makes_the_same_settings_another_judgement(
    changing_command: CommandLine, changeable: Finished, option: str
) -> None:
    def told() -> str:
        return changing_command("rejudge", changeable.name).err

    assert "judgement 0 of run small-1 was made with these settings" in told()
    changing_command("retract", *named(changeable, option), *WHY)
    assert "judgement 1 of run small-1 is written" in told()
    assert "judgement 1 of run small-1 was made with these settings" in told()
    changing_command("unretract", "1")
    assert "judgement 0 of run small-1 was made with these settings" in told()


def test_what_an_undone_retraction_left_out_is_heard_again(changing_command: CommandLine, changeable: Finished) -> None:
    changing_command("retract", "--model", "chat", *WHY)
    changing_command("rejudge", changeable.name, "--rule", "majority")
    changing_command("unretract", "1")
    changing_command("rejudge", changeable.name, "--rule", "majority")
    assert [row for row in rows(changeable, COMPARED) if row[0] == "2"] == [
        ("2", "base"),
        ("2", "chat"),
        ("2", "instance"),
    ]


def test_a_further_judgement_of_what_is_retracted_is_retracted(
    changing_command: CommandLine, changeable: Finished
) -> None:
    changing_command("rejudge", changeable.name, "--rule", "none")
    changing_command("retract", *named(changeable, "instruction"), *WHY)
    with psycopg.connect(changeable.database_url) as connection:
        query = "SELECT judgement FROM lineage.examples WHERE retracted AND instruction_id = %s ORDER BY 1"
        found = connection.execute(query, [named(changeable, "instruction")[1]]).fetchall()
    assert found == [(0,), (1,)]
