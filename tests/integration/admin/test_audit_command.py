"""`audit`: a run that was worked on in peace is sound, and each kind of damage to its rows is found by name."""

import json
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

WANTED_INSTANCE = "(SELECT instance_id FROM examples WHERE NOT surplus ORDER BY position LIMIT 1)"
PLACES = {
    "wanted": "(SELECT id FROM examples WHERE NOT surplus ORDER BY position LIMIT 1)",
    "wanted_instance": WANTED_INSTANCE,
    "wanted_instruction": f"(SELECT instruction_id FROM instances WHERE id = {WANTED_INSTANCE})",  # noqa: S608 - ours
    "call": "(SELECT generation_id FROM instances WHERE state = 'accepted' ORDER BY id LIMIT 1)",
    "done": "(SELECT id FROM work_items WHERE state = 'done' AND stage = 'instance' ORDER BY id LIMIT 1)",
    "first": "(SELECT id FROM work_items WHERE stage = 'instruction' AND position = 0 LIMIT 1)",
}

DAMAGE = {
    "DELETE FROM examples WHERE id = {wanted}": {"targets missed", "examples missing", "counters wrong"},
    "UPDATE examples SET surplus = true WHERE id = {wanted}": {"targets missed", "surplus misplaced"},
    "DELETE FROM instances WHERE id = {wanted_instance}": {
        *("instances missing", "work without a record", "counters wrong", "example edges dangling"),
        *("candidate edges dangling",),
    },
    "DELETE FROM candidates WHERE number = 2 AND instance_id = {wanted_instance}": {
        *("candidates missing", "work without a record", "voices miscounted"),
    },
    "DELETE FROM verdicts WHERE instance_id = {wanted_instance}": {
        *("verdicts missing", "examples missing", "work without a record", "counters wrong", "example edges dangling"),
    },
    "DELETE FROM generations WHERE id = {call}": {"calls without a response", "instance edges dangling"},
    "UPDATE work_items SET state = 'ready' WHERE id = {done}": {
        *("calls without a response", "records without work", "work left open"),
    },
    "UPDATE work_items SET state = 'failed' WHERE id = {done}": {"work unexplained", "calls without a response"},
    "UPDATE work_items SET failures = 2 WHERE id = {done}": {"faults without a call"},
    "UPDATE work_items SET lease_token = gen_random_uuid() WHERE id = {done}": {"leases broken"},
    "UPDATE work_items SET gated = true WHERE id = {done}": {"gated too early"},
    "DELETE FROM work_items WHERE stage = 'instruction' AND position = 0": {"proposals with gaps", "counters wrong"},
    "UPDATE work_items SET gated = false WHERE stage = 'instruction' AND position = 0": {
        *("proposals forgotten", "counters wrong"),
    },
    "UPDATE instructions SET accepted_order = 9999 WHERE accepted_order = 0": {"acceptance with gaps"},
    "UPDATE instructions SET text = 'A wholly other task.' WHERE id = {wanted_instruction}": {"examples misattributed"},
    "UPDATE instructions SET text = s.instruction FROM (SELECT instruction FROM seed_tasks LIMIT 1) s"
    " WHERE id = {wanted_instruction}": {"instructions too alike"},
    "UPDATE candidates SET output = 'other' WHERE id = (SELECT candidate_id FROM examples LIMIT 1)": {
        "examples misattributed"
    },
    "UPDATE generations SET seed_task_ids[1] = gen_random_uuid() WHERE work_item_id = {first}": {
        "demonstrations missing"
    },
    "UPDATE generations SET instruction_ids = ARRAY[{wanted_instruction}] WHERE work_item_id = {first}": {
        "demonstrations out of turn"
    },
    "UPDATE generations SET seed_task_ids = '{{}}', instruction_ids = '{{}}' WHERE id ="
    " (SELECT generation_id FROM instructions WHERE id = {wanted_instruction})": {"lineage without seeds"},
    "UPDATE instances SET pending_outputs = 1 WHERE id = {wanted_instance}": {"voices miscounted"},
    "UPDATE candidates SET state = 'rejected', reason = '' WHERE number = 2": {"records unexplained"},
    "UPDATE verdicts SET candidate_ids[1] = gen_random_uuid() WHERE instance_id = {wanted_instance}": {
        *("verdict edges dangling", "verdicts misattributed"),
    },
    "UPDATE run_targets SET examples = examples + 1": {"counters wrong"},
    "UPDATE generation_totals SET completion_tokens = completion_tokens + 1": {"call totals astray"},
    "DELETE FROM record_totals WHERE kind = 'candidate'": {"record totals astray"},
    "UPDATE seed_totals SET examples = examples - 1": {"seeds' shares astray"},
}


@pytest.fixture
def damaged(changeable: Finished, request: pytest.FixtureRequest) -> Finished:
    """A run whose rows were tampered with, past every constraint."""
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign keys
        connection.execute(
            """
            DO $$ DECLARE c record; BEGIN
              FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
                WHERE contype = 'c' AND connamespace = 'public'::regnamespace
              LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
            END $$
            """
        )
        assert connection.execute(request.param.format(**PLACES)).rowcount > 0
    return changeable


def found_in(command: CommandLine, run: str, *options: object) -> set[str]:
    """The checks that found something."""
    outcome = command("audit", run, "--json", *options)
    checks = json.loads(outcome.out)["checks"]
    found = {each["name"] for each in checks if each["violations"]}
    assert (outcome.code, json.loads(outcome.out)["sound"]) == (1 if found else 0, not found)
    return found


def test_a_run_worked_on_in_peace_is_sound(later_command: CommandLine, finished: Finished) -> None:
    outcome = later_command("audit", finished.name)
    assert (outcome.code, outcome.out) == (0, "")
    assert "which is completed, is sound" in outcome.err
    assert found_in(later_command, finished.id) == set()


def test_a_run_that_nobody_works_on_yet_is_sound(command: CommandLine, begun: str) -> None:
    assert found_in(command, begun) == set()


@pytest.mark.parametrize(("damaged", "expected"), DAMAGE.items(), indirect=["damaged"])
def test_damage_is_found(
    bare_command: CommandLine, damaged: Finished, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", damaged.database_url)
    assert found_in(bare_command, damaged.id) >= expected


def test_a_person_is_told_what_is_broken(changing_command: CommandLine, changeable: Finished) -> None:
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        connection.execute("UPDATE run_targets SET accepted = 0")
    outcome = changing_command("audit", changeable.name)
    assert outcome.code == 1
    assert "counters wrong" in outcome.out
    assert "input_output" in outcome.out
    assert "is not sound: 1 of" in outcome.err


def test_every_served_call_is_a_row_or_a_lost_attempt(
    changing_command: CommandLine, changeable: Finished, tmp_path: Path
) -> None:
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        calls = connection.execute("SELECT prompt, seed, work_item_id FROM generations").fetchall()
        served = tmp_path / "served"
        lines = [
            json.dumps({"prompt_sha256": sha256(prompt.encode()).hexdigest(), "seed": seed})
            for prompt, seed, _ in calls
        ]
        served.write_text("\n".join(lines))
        assert found_in(changing_command, changeable.id, "--served", served) == set()

        served.write_text("\n".join([*lines, lines[0]]))
        assert found_in(changing_command, changeable.id, "--served", served) == {"served calls lost"}
        connection.execute("UPDATE work_items SET crashes = 1 WHERE id = %s", [calls[0][2]])
        assert found_in(changing_command, changeable.id, "--served", served) == set()


def test_an_account_of_something_else_is_refused(
    later_command: CommandLine, finished: Finished, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.write_text('{"prompt_sha256": "x", "seed": 1}\nhello\n')
    assert "line 2: not an account of a served call" in later_command.refused(
        2, "audit", finished.name, "--served", served
    )
