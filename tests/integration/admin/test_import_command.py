"""`ensemble-instruct import`: what it brings in, and what it says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from shared.lm.fake import FakeServer
from shared.store.locks import lock
from shared.store.session import Sessions
from tests.integration.admin.command_line import CommandLine, jsonl, row_counts
from tests.integration.workers.driving import a_worker, drive

SORT = {"instruction": "Sort the words.", "input": "b a", "output": "a b"}
JOKE = {"instruction": "Tell a joke.", "output": "No."}
SONG = {"instruction": "Sing a song of three lines.", "input": None, "output": "La."}


def alpaca(name: str, records: Sequence[object]) -> Path:
    """A file of one JSON array."""
    path = Path(name)
    path.write_text(json.dumps(records, indent=1))
    return path


def exported(command: CommandLine, run: str, *options: object) -> list[dict[str, str]]:
    """A run's examples, without their ids."""
    outcome = command("export", run, *options)
    assert outcome.code == 0, outcome
    records = [json.loads(line) for line in Path(outcome.out.strip()).read_text().splitlines()]
    return [{name: record[name] for name in ("instruction", "input", "output")} for record in records]


def rows(url: str, query: Any, *values: object) -> list[tuple[Any, ...]]:
    """What a query gives."""
    with psycopg.connect(url) as connection:
        return connection.execute(query, values).fetchall()


def is_sound(command: CommandLine, run: str) -> bool:
    """Whether the audit finds nothing."""
    outcome = command("audit", run)
    assert outcome.code == 0, outcome
    return True


def test_complete_examples_come_out_as_they_went_in(command: CommandLine, database_url: str) -> None:
    path = jsonl("mine.jsonl", [JOKE, SORT, SONG])
    outcome = command("import", path, "--as", "mine", "--source", "my desk", "--licence", "cc-by-4.0")
    assert (outcome.code, outcome.err) == (0, "run mine holds 3 instructions and 3 examples\n")
    assert rows(database_url, "SELECT CAST(id AS text), state FROM runs") == [(outcome.out.strip(), "completed")]
    without_input = [
        {"instruction": each["instruction"], "input": "", "output": each["output"]} for each in (JOKE, SONG)
    ]
    assert exported(command, "mine") == [SORT, *without_input]
    assert rows(
        database_url, "SELECT run, file, number, line, source, licence, record ->> 'output' FROM lineage.origins"
    ) == [
        ("mine", "mine.jsonl", 1, 1, "my desk", "cc-by-4.0", "No."),
        ("mine", "mine.jsonl", 2, 2, "my desk", "cc-by-4.0", "a b"),
        ("mine", "mine.jsonl", 3, 3, "my desk", "cc-by-4.0", "La."),
    ]
    assert is_sound(command, "mine")


def test_an_array_is_read_as_lines_are(command: CommandLine, database_url: str) -> None:
    command("import", jsonl("lines.jsonl", [SORT, JOKE]), "--as", "lines")
    assert command("import", alpaca("alpaca.json", [SORT, JOKE]), "--as", "array").code == 0
    assert exported(command, "array") == exported(command, "lines")
    assert rows(database_url, "SELECT line FROM lineage.origins WHERE run = 'array'") == [(2,), (7,)]


def test_self_instructs_instances_are_examples_each(command: CommandLine) -> None:
    instances = [{"input": "b a", "output": "a b"}, {"input": "d c", "output": "c d"}]
    path = jsonl("seeds.jsonl", [{"id": "s", "instruction": "Sort the words.", "instances": instances}])
    assert command("import", path, "--as", "seeds").code == 0
    assert exported(command, "seeds") == [{"instruction": "Sort the words.", **each} for each in instances]
    assert is_sound(command, "seeds")


def test_an_example_leads_back_to_its_line_and_forth_again(command: CommandLine, database_url: str) -> None:
    path = jsonl("mine.jsonl", [SORT, JOKE])
    command("import", path, "--as", "mine", "--source", "my desk")
    ((id, origin),) = rows(
        database_url,
        """
        SELECT e.id, o.id FROM lineage.examples e JOIN lineage.instructions i ON i.id = e.instruction_id
        JOIN lineage.origins o ON o.id = i.origin_id WHERE e.task_type = 'output_only'
        """,
    )
    tree = command("lineage", id).out
    assert "line 2 of mine.jsonl: Tell a joke." in tree
    assert "stands in origin file" in tree
    assert "mine.jsonl, my desk, sha256 " in tree
    told = json.loads(command("lineage", id, "--json").out)
    assert {node["kind"] for node in told["nodes"]} == {
        *("example", "verdict", "candidate", "instance", "instruction", "origin", "origin_file"),
    }
    assert {edge["relation"] for edge in told["edges"]} >= {"imported_from", "stands_in"}
    assert "origin" in command("lineage", id, "--dot").out
    assert f"ei:origin.{origin}" in json.loads(command("lineage", id, "--prov").out)["entity"]
    for name, examples in (("mine.jsonl", 2), (str(origin), 1), (str(origin)[:8], 1)):
        found = json.loads(command("impact", "--origin", name, "--json").out)
        assert len(found) == examples
        assert str(id) in {each["id"] for each in found}
    assert "There is no imported file 'other.jsonl'" in command.refused(2, "impact", "--origin", "other.jsonl")
    assert "It is the id of: example." in command.refused(2, "impact", "--origin", id)


def test_several_files_are_voices_that_are_judged(command: CommandLine, database_url: str) -> None:
    first = jsonl("a.jsonl", [SORT, JOKE, SONG])
    second = jsonl("b.jsonl", [{**JOKE, "output": "Never."}, {**SORT, "output": "a b!"}])
    third = alpaca("c.json", [{**SORT, "output": "b"}, {**JOKE, "output": "Never!"}, {**JOKE, "output": "Twice."}])
    outcome = command("import", first, second, third, "--as", "both", "--voice", "falcon", "--voice", "ul2")
    assert outcome.code == 0
    assert "b.jsonl has no record for 1 of a.jsonl" in outcome.err
    assert "c.json:11: 1 from here on match none of a.jsonl" in outcome.err
    assert "3 instructions and 2 examples (1 discarded: 1 too_few_candidates)" in outcome.err
    assert exported(command, "both") == [SORT, {"instruction": JOKE["instruction"], "input": "", "output": "Never."}]
    assert rows(
        database_url,
        """
        SELECT n.input, c.number, c.voice, c.state, c.reason, f.file FROM lineage.candidates c
        JOIN lineage.instances n ON n.id = c.instance_id LEFT JOIN lineage.origins f ON f.id = c.origin_id
        JOIN lineage.instructions i ON i.id = n.instruction_id WHERE i.text <> %s ORDER BY n.input, c.number
        """,
        JOKE["instruction"],
    ) == [
        ("", 0, "instance", "accepted", None, "a.jsonl"),
        ("", 1, "falcon", "rejected", "not_in_file", None),
        ("", 2, "ul2", "rejected", "not_in_file", None),
        ("b a", 0, "instance", "accepted", None, "a.jsonl"),
        ("b a", 1, "falcon", "accepted", None, "b.jsonl"),
        ("b a", 2, "ul2", "accepted", None, "c.json"),
    ]
    assert is_sound(command, "both")
    agreement = json.loads(command("agreement", "both", "--json").out)
    assert [each["voice"] for each in agreement["voices"]] == ["instance", "falcon", "ul2"]
    assert command("rejudge", "both", "--rule", "none").code == 0
    assert len(exported(command, "both", "--judgement", 1)) == 3
    assert is_sound(command, "both")


def test_all_is_kept_unless_something_else_is_asked_for(command: CommandLine, database_url: str) -> None:
    short = {"instruction": "Joke.", "output": "No."}
    near = {"instruction": "Sing a song of four lines.", "output": "La."}
    blank = [{"instruction": " ", "output": "?"}, {"instruction": "Tell a very old joke.", "output": " "}]
    path = jsonl("mine.jsonl", [SONG, near, short, SONG, *blank])
    outcome = command("import", path, "--as", "all")
    assert "5 instructions (1 rejected: 1 empty_instruction) and 4 examples\n" in outcome.err
    assert "1 of them have the instruction and input of another; they were kept" in outcome.err
    assert "1 have no output; have a model answer them" in outcome.err
    strict = ("--filter", "--novelty", "0.7")
    told = json.loads(command("import", path, "--as", "some", *strict, "--json").out)
    assert told["rejected"] == {"empty_instruction": 1, "too_short": 1, "not_novel": 2}
    assert told["examples"] == {"output_only": 1}
    similar = rows(
        database_url,
        """
        SELECT i.reason, round(CAST(i.max_similarity AS numeric), 2), k.text
        FROM lineage.instructions i JOIN lineage.instructions k ON CAST(k.id AS text) = i.most_similar -> 0 ->> 'id'
        WHERE i.text = %s AND i.run = 'some'
        """,
        near["instruction"],
    )
    assert [(reason, float(score), text) for reason, score, text in similar] == [
        ("not_novel", 0.83, SONG["instruction"])
    ]
    for run in ("all", "some"):
        assert is_sound(command, run)


def test_what_other_runs_hold_is_known_if_they_are_named(command: CommandLine) -> None:
    command("import", jsonl("a.jsonl", [SORT, JOKE]), "--as", "first")
    command("import", jsonl("b.jsonl", [JOKE, SONG]), "--as", "second", "--novelty", "0.7", "--novelty-scope", "first")
    assert [each["output"] for each in exported(command, "second")] == ["La."]
    command("import", jsonl("b.jsonl", [JOKE, SONG]), "--as", "third", "--novelty", "0.7", "--novelty-scope", "all")
    assert (
        "holds 0 instructions"
        in command("import", "b.jsonl", "--as", "x", "--novelty", "0.7", "--novelty-scope", "all").err
    )
    assert "Run 'third' has no examples yet" in command.refused(2, "export", "third")
    assert is_sound(command, "third")


def test_the_same_again_changes_nothing(command: CommandLine, database_url: str) -> None:
    path = jsonl("mine.jsonl", [SORT])
    first = command("import", path, "--as", "mine")
    before = row_counts(database_url)
    again = command("import", path, "--as", "mine")
    assert (again.code, again.out) == (0, first.out)
    assert "was imported from these files already, so nothing was written" in again.err
    for changes in (["--licence", "mit"], ["--novelty", "0.7"], [jsonl("b.jsonl", [SORT])]):
        assert "There is a run named 'mine' already" in command.refused(2, "import", path, "--as", "mine", *changes)
    path.write_text(path.read_text() + "\n" + json.dumps(JOKE))
    assert "There is a run named 'mine' already" in command.refused(2, "import", path, "--as", "mine")
    assert row_counts(database_url) == before


def test_the_name_of_a_run_that_was_made_is_taken(command: CommandLine, begun: str) -> None:
    path = jsonl("mine.jsonl", [SORT])
    assert "There is a run named 'small-1' already" in command.refused(2, "import", path, "--as", "small-1")


def test_two_commands_do_not_import_under_one_name_at_once(command: CommandLine, sessions: Sessions) -> None:
    path = jsonl("mine.jsonl", [SORT])
    with sessions.begin() as session:
        lock(session, "import", "mine")
        assert "Another command is importing a run named 'mine'" in command.refused(1, "import", path, "--as", "mine")


@pytest.mark.parametrize("kind", ["instruct", "vanilla"])
def test_a_model_answers_instructions_that_came_without_outputs(
    command: CommandLine, lm: FakeServer, database_url: str, redis_url: str, kind: str
) -> None:
    path = jsonl("bare.jsonl", [{"instruction": "Name a colour of the sea."}, {**SORT, "output": None}, JOKE])
    outcome = command("import", path, "--as", "bare")
    assert "2 have no output; have a model answer them: ensemble-instruct add-output bare --model …" in outcome.err
    assert [each["output"] for each in exported(command, "bare")] == ["No."]
    settings = {"protocol": "openai", "kind": kind, "endpoints": f"[{lm.url}]"}
    described = [part for name, value in settings.items() for part in ("--set", f"models.late.{name}={value}")]
    added = command("add-output", "bare", "--model", "late", *described)
    assert "late is asked about 3 instances of run bare" in added.err
    assert "follow it with: ensemble-instruct watch bare" in added.err
    assert "judged as judgement 1; export that with: ensemble-instruct export bare --judgement 1" in added.err
    assert "rejudge bare --rule" in added.err
    with a_worker(database_url, redis_url) as runtime:
        ((run_id,),) = rows(database_url, "SELECT id FROM runs")
        assert drive(runtime, run_id).state == "completed"
    status = command("status", "bare").out
    assert "completed: all late outputs are there, and judgement 1 takes them into account" in status
    assert "\n1 of 3 examples of judgement 0, 3 of judgement 1, the latest, in 0" in status
    answered = exported(command, "bare", "--judgement", 1)
    assert len(answered) == 3
    assert answered[1]["output"] or answered[2]["output"] == "No."
    assert rows(database_url, "SELECT DISTINCT number, voice, model FROM lineage.candidates ORDER BY number") == [
        (0, "instance", None),
        (1, "late", "late"),
    ]
    ((shown,),) = rows(database_url, "SELECT max(cardinality(seed_task_ids)) FROM lineage.generations")
    assert (shown > 0) is (kind == "vanilla")
    assert is_sound(command, "bare")
    again = command("import", path, "--as", "bare")
    assert "was imported from these files already" in again.err


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE instructions SET text = 'Another.' WHERE position = 0", "imports misattributed"),
        ("UPDATE origin_files SET records = records + 1", "imports missing"),
        ("DELETE FROM instructions WHERE position = 0", "imports missing"),
        ("DELETE FROM origins WHERE number = 1", "instruction edges dangling"),
        ("UPDATE origin_files SET voice = 'other'", "candidates misattributed"),
        ("UPDATE instances SET origin_id = (SELECT id FROM origins WHERE number = 1)", "instances misattributed"),
        ("DELETE FROM candidates WHERE voice = 'instance'", "candidates missing"),
        ("UPDATE run_targets SET target = 1", "targets missed"),
    ],
)
def test_damage_to_what_was_imported_is_found(
    command: CommandLine, database_url: str, damage: LiteralString, found: str
) -> None:
    command("import", jsonl("mine.jsonl", [SORT, {**SORT, "input": "d c"}]), "--as", "mine")
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign keys
        assert connection.execute(damage).rowcount > 0
    told = json.loads(command("audit", "mine", "--json").out)
    assert found in {each["name"] for each in told["checks"] if each["violations"]}
