"""What works on a run works on an imported one: exports, the forms of its lineage, replay, and what is told of it."""

import json
import uuid
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from sqlalchemy import select

from shared.dataset.prov_document import prov_json
from shared.dataset.prov_stream import prov_chunks
from shared.store.lineage import lineage_of
from shared.store.session import Sessions
from shared.store.tables.records import Example
from tests.integration.admin.command_line import CommandLine, jsonl
from tests.integration.admin.test_import_command import JOKE, SONG, SORT
from tests.integration.admin.test_lineage_command import drawn
from tests.integration.telemetry.lineage_server import lineage_server
from tests.integration.telemetry.openlineage_schema import check_event
from tests.integration.workers.told import by, told, total
from workers.run_metrics import RunMetrics

WHY = ("--reason", "it is wrong", "--by", "somebody")


@pytest.fixture
def both(command: CommandLine) -> str:
    """The id of a run of three instructions, for two of which a further file has outputs."""
    second = jsonl("b.jsonl", [{**SORT, "output": "a b."}, {**JOKE, "output": "No!"}])
    voices = ("--licence", "mit", "--licence", "gpl-3.0", "--source", "my desk")
    return command(
        "import", jsonl("a.jsonl", [SORT, JOKE, SONG]), second, "--as", "both", "--rule", "none", *voices
    ).out.strip()


def outputs(command: CommandLine, *arguments: object) -> set[str]:
    """The outputs that an export holds."""
    outcome = command("export", *arguments, "--out", f"out/{uuid.uuid4()}")
    assert outcome.code == 0, outcome
    return {json.loads(line)["output"] for line in Path(outcome.out.strip()).read_text().splitlines()}


def test_an_export_has_every_format(command: CommandLine, both: str) -> None:
    forms = [part for form in ("jsonl", "alpaca", "messages", "parquet", "hf") for part in ("--format", form)]
    paths = command("export", "both", *forms, "--columns", "task_type,run,models,agreement", "--out", "out").out.split()
    assert [Path(path).name for path in paths] == [
        *("examples.jsonl", "alpaca.json", "messages.jsonl", "examples.parquet", "train-00000-of-00001.parquet"),
    ]
    rows = parquet.read_table(paths[3]).to_pylist()
    assert rows == parquet.read_table(paths[4]).to_pylist()
    assert rows == [json.loads(line) for line in Path(paths[0]).read_text().splitlines()]
    assert [(row["output"], row["run"], row["models"]) for row in rows] == [
        (each["output"], "both", []) for each in (SORT, JOKE, SONG)
    ]
    assert [each["output"] for each in json.loads(Path(paths[1]).read_text())] == ["a b", "No.", "La."]


def test_what_one_record_holds_is_in_one_split(command: CommandLine) -> None:
    instances = [[{"input": f"{n} {k}", "output": f"{n}/{k}"} for k in range(4)] for n in range(8)]
    records = [{"instruction": f"Do task {n}.", "instances": each} for n, each in enumerate(instances)]
    command("import", jsonl("s.jsonl", records), "--as", "s")
    paths = command("export", "s", "--split", "train=0.5,test=0.5", "--out", "out").out.split()
    records_of = [{json.loads(line)["instruction"] for line in Path(path).read_text().splitlines()} for path in paths]
    assert [bool(each) for each in records_of] == [True, True]
    assert not set.intersection(*records_of)


def test_an_export_is_made_again_and_compared(command: CommandLine, both: str) -> None:
    before = json.loads(command("export", "both", "--json").out)
    command("retract", "--origin", "b.jsonl", *WHY)
    after = json.loads(command("export", "both", "--out", "after", "--json").out)
    assert (before["rows"], after["rows"], after["left_out"]) == (3, 1, {"retracted": 2})
    differences = json.loads(command("diff", before["id"], after["id"], "--json").out)["differences"]
    assert [(each["kind"], each["why"]) for each in differences] == [("went", "retracted")] * 2
    command("unretract", 1)
    again = json.loads(command("export", "--as-of", before["id"], "--out", "again", "--json").out)
    assert (again["id"], again["files"]) == (before["id"], before["files"])


def test_a_licence_is_that_of_every_file_that_was_compared(command: CommandLine, both: str) -> None:
    command("import", jsonl("c.jsonl", [JOKE]), "--as", "unknown")
    assert outputs(command, "both", "unknown", "--licence", "MIT,gpl-3.0") == {"a b", "No.", "La."}
    assert outputs(command, "both", "unknown", "--licence", "mit") == {"La."}
    told = command.refused(2, "export", "unknown", "both", "--licence", "gpl-3.0")
    assert "of 4 examples, licence left out 4 (a.jsonl has licence mit; c.jsonl has none declared)." in told


def test_no_call_wrote_it_so_none_is_replayed(command: CommandLine, both: str, sessions: Sessions) -> None:
    with sessions() as session:
        example = session.scalars(select(Example).where(Example.output == "No.")).one()
    told = command.refused(2, "replay", str(example.instance_id))
    assert "none made this one: it was imported, from line 2 of a.jsonl: Tell a joke." in told


def test_the_lineage_has_its_files_in_every_form(command: CommandLine, both: str, sessions: Sessions) -> None:
    with sessions() as session:
        examples = list(session.scalars(select(Example.id)))
        for id in examples:
            nodes = json.loads(command("lineage", id, "--json").out)["nodes"]
            for options in ((), ("--full",)):
                boxes = drawn(command("lineage", id, "--svg", "-", *options).out)[1]
                assert boxes.keys() == {node["id"] for node in nodes}
            assert {box.attrib["data-kind"] for box in boxes.values()} >= {"origin", "origin_file"}
            whole = json.loads(prov_json(lineage_of(session, "example", id)))
            streamed = json.loads("".join(prov_chunks(session, [id])))
            assert streamed["entity"] == whole["entity"]
            assert relations(streamed) == relations(whole)


def relations(document: dict[str, dict[str, object]]) -> set[str]:
    """All of them, without the names that each document gives them."""
    return {
        f"{section} {json.dumps(relation, sort_keys=True)}"
        for section, entries in document.items()
        if section not in ("prefix", "entity", "activity", "agent")
        for relation in entries.values()
    }


def test_it_is_told_to_be_complete(command: CommandLine, both: str, sessions: Sessions) -> None:
    assert "both" in command("status", "both").out
    status = json.loads(command("status", "both", "--json").out)
    assert (status["state"], status["models"]) == ("completed", [])
    assert command("watch", "both").code == 0
    assert command("audit", "both").code == 0
    metrics = told(RunMetrics(sessions))
    assert by(metrics, "run_state", "state")["completed",] == 1
    assert by(metrics, "run_examples", "task_type") == {("input_output",): 1, ("output_only",): 2}
    assert total(metrics, "run_calls_total") == 0


def test_openlineage_hears_of_its_files(command: CommandLine) -> None:
    path = jsonl("a.jsonl", [SORT, JOKE])
    with lineage_server() as server:
        transport = {"OPENLINEAGE__TRANSPORT__TYPE": "http", "OPENLINEAGE__TRANSPORT__URL": server.url}
        command("import", path, "--as", "mine", "--source", "my desk", "--licence", "mit", **transport)
        command("import", path, "--as", "mine", "--source", "my desk", "--licence", "mit", **transport)
    assert server.types == ["START", "COMPLETE"]
    for event in server.received:
        check_event(event)
        (file,) = event["inputs"]
        assert (file["namespace"], file["name"]) == ("file", "a.jsonl")
        assert file["inputFacets"]["inputStatistics"]["rowCount"] == 2
        assert "It is from: my desk. Its licence: mit." in file["facets"]["documentation"]["description"]
    assert server.received[1]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert "imported from a.jsonl (mit)" in server.received[1]["job"]["facets"]["documentation"]["description"]
