"""What lies beside the data of an export, opened by the libraries that people open it with."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import mlcroissant
import psycopg
import pyarrow.parquet
import pytest
from prov.model import ProvDocument

from tests.integration.admin.card_reading import sections
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

FORMATS = ("jsonl", "alpaca", "messages", "parquet", "hf")
EVERYTHING = [argument for form in FORMATS for argument in ("--format", form)]
FURTHER = ("--columns", "task_type,run,models,agreement", "--alpaca-prompt", "--prov")


@pytest.fixture
def folder(changing_command: CommandLine, changeable: Finished, tmp_path: Path) -> Path:
    """An export in all formats, with splits and all that can lie beside them."""
    changing_command("export", changeable.name, *EVERYTHING, *FURTHER, "--split", "train=0.6,test=0.4", "--out", "data")
    return tmp_path / "data"


@pytest.fixture
def database(folder: Path, changeable: Finished) -> Iterator[psycopg.Connection[Any]]:
    """What the folder is held against, as a reader sees it."""
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("SET ROLE dataset_reader")
        yield connection


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    yield
    datasets.enable_progress_bars()


def provenance(folder: Path) -> dict[str, dict[str, Any]]:
    rows = pyarrow.parquet.read_table(folder / "provenance.parquet").to_pylist()
    return {row["example_id"]: row for row in rows}


def test_each_example_has_its_verdict(folder: Path, database: psycopg.Connection[Any]) -> None:
    rows = database.execute(
        """
        SELECT CAST(e.id AS text), e.run, e.judgement, e.task_type, x.split, e.chosen_voice, e.rule, e.threshold,
          e.exact_match, e.margin, e.agreement, e.scores, CAST(e.verdict_id AS text), CAST(e.candidate_id AS text),
          CAST(e.instance_id AS text), CAST(e.instruction_id AS text)
        FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id ORDER BY x.place
        """
    ).fetchall()
    found = provenance(folder)
    assert list(found) == [row[0] for row in rows]
    names = (
        *("example_id", "run", "judgement", "task_type", "split", "chosen_voice", "rule", "threshold", "exact_match"),
        *("margin", "agreement", "scores", "verdict_id", "candidate_id", "instance_id", "instruction_id"),
    )
    assert [tuple(each[name] for name in names) for each in found.values()] == rows


def test_each_example_has_the_calls_behind_it(folder: Path, database: psycopg.Connection[Any]) -> None:
    for id, row in provenance(folder).items():
        calls = database.execute(
            """
            SELECT CAST(g.id AS text) AS id, g.stage, g.model, coalesce(s.served_model, g.served_model) AS served_model,
              g.model_revision, g.server_version, g.licence, g.template, g.template_version, g.template_sha256,
              ARRAY(SELECT t.source_id FROM unnest(g.seed_task_ids) WITH ORDINALITY AS u (id, place)
                JOIN lineage.seed_tasks t ON t.id = u.id ORDER BY u.place) AS seed_tasks,
              CAST(g.instruction_ids AS text[]) AS instruction_ids
            FROM lineage.examples e
            JOIN lineage.instructions i ON i.id = e.instruction_id JOIN lineage.instances n ON n.id = e.instance_id
            JOIN lineage.verdicts v ON v.id = e.verdict_id
            JOIN lineage.generations g ON g.id IN (i.generation_id, n.generation_id) OR g.id IN (
              SELECT c.generation_id FROM lineage.candidates c WHERE c.id = ANY (v.candidate_ids))
            LEFT JOIN lineage.edges a ON a.child_id = g.id AND a.relation = 'answered_by'
            LEFT JOIN lineage.servers s ON s.id = a.parent_id WHERE e.id = %s
            """,
            (id,),
        )
        names = [column.name for column in calls.description or ()]
        expected = {call[0]: dict(zip(names, call, strict=True)) for call in calls}
        assert {call["id"]: call for call in row["calls"]} == expected
        assert row["generation_ids"] == [call["id"] for call in row["calls"]]
        assert set(row["template_sha256s"]) == {call["template_sha256"] for call in expected.values()}
        assert set(row["seed_tasks"]) == {seed for call in expected.values() for seed in call["seed_tasks"]}
        assert len(row["outputs"]) == len(row["scores"]) == 3


def test_a_question_has_the_answer_that_the_database_gives(folder: Path, database: psycopg.Connection[Any]) -> None:
    rows = database.execute(
        """
        SELECT CAST(x.example_id AS text), array_agg(DISTINCT coalesce(m.served_model, m.model))
        FROM lineage.export_rows x CROSS JOIN LATERAL lineage.ancestors('example', x.example_id) a
        JOIN lineage.models m ON m.id = a.ancestor_id GROUP BY 1
        """
    ).fetchall()
    found = provenance(folder)
    assert {id: row["models"] for id, row in found.items()} == dict(rows)
    seed = next(iter(found.values()))["seed_tasks"][0]
    shown = {id for id, row in found.items() if seed in row["seed_tasks"]}
    saw = database.execute(
        """
        SELECT CAST(x.example_id AS text) FROM lineage.export_rows x WHERE EXISTS (
          SELECT FROM lineage.ancestors('example', x.example_id) a JOIN lineage.seed_tasks s ON s.id = a.ancestor_id
          WHERE s.source_id = %s AND a.distance <= 4)
        """,
        (seed,),
    ).fetchall()
    assert shown == {id for (id,) in saw}


def test_the_w3cs_words_tell_the_whole_ancestry_and_no_addresses(
    folder: Path, database: psycopg.Connection[Any]
) -> None:
    written = (folder / "provenance.prov.json").read_text()
    document = ProvDocument.deserialize(content=written, format="json")
    ancestors = database.execute(
        """
        SELECT 'example.' || example_id FROM lineage.export_rows UNION
        SELECT a.ancestor_kind || '.' || a.ancestor_id FROM lineage.export_rows x
        CROSS JOIN LATERAL lineage.ancestors('example', x.example_id) a
        """
    ).fetchall()
    names = (record.identifier for record in document.get_records() if record.is_element())
    elements = {name.localpart for name in names if name}
    assert elements == {name for (name,) in ancestors}
    for private in ("127.0.0.1", "ei:endpoint", "ei:worker", "ei:surplus", "ei:weights"):
        assert private not in written


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what mlcroissant reads with
def test_mlcroissant_reads_every_record_of_every_file(folder: Path, database: psycopg.Connection[Any]) -> None:
    opened = mlcroissant.Dataset(folder / "croissant.json")
    issues = opened.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    assert opened.metadata.name == "small-1"
    sets = {
        each.uuid: [plain(each.uuid, record) for record in opened.records(each.uuid)] for each in record_sets(opened)
    }
    for split in splits(folder):
        lines = [json.loads(line) for line in (folder / f"examples-{split}.jsonl").read_text().splitlines()]
        assert sets[f"jsonl-{split}"] == lines
        assert sets[f"alpaca-{split}"] == json.loads((folder / f"alpaca-{split}.json").read_text())
        messages = [json.loads(line) for line in (folder / f"messages-{split}.jsonl").read_text().splitlines()]
        assert sets[f"messages-{split}"] == messages
        for name in (f"parquet-{split}", f"hf-{split}-00000-of-00001"):
            assert sets[name] == lines
    told = provenance(folder)
    assert [row["example_id"] for row in sets["provenance"]] == list(told)
    for row in sets["provenance"]:
        assert row == {name: value for name, value in told[row["example_id"]].items() if name in row}
        assert {"generation_ids", "seed_tasks", "instruction_ids", "scores", "models", "split"} <= row.keys()


def splits(folder: Path) -> list[str]:
    """Those that got an example: which ones these are depends on the run's id."""
    return [path.stem.removeprefix("examples-") for path in sorted(folder.glob("examples-*.jsonl"))]


def record_sets(opened: Any) -> list[Any]:
    return list(opened.metadata.record_sets)


def plain(name: str, value: Any) -> Any:
    """A record without the name of its set before those of its fields, and with texts for bytes."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(name, each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(name, each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def test_the_metadata_tell_the_bytes_of_each_file(folder: Path, database: psycopg.Connection[Any]) -> None:
    told = json.loads((folder / "croissant.json").read_text())
    ((files,),) = database.execute("SELECT files FROM lineage.exports").fetchall()
    kept = {file["path"]: file["sha256"] for file in files}
    for each in told["distribution"]:
        content = (folder / each["contentUrl"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest() == kept[each["contentUrl"]]
        assert each["contentSize"] == f"{len(content)} B"
    data = {file["path"] for file in files if file["format"]} | {"provenance.parquet"}
    assert {each["contentUrl"] for each in told["distribution"]} == data


def test_the_folder_opens_by_what_its_card_says(folder: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", sections(folder)["Loading"], re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("DIR", str(folder)), names)  # noqa: S102 - as a reader of the card would
    for form in ("examples", "parquet", "jsonl", "alpaca", "messages"):
        assert {split: len(each) for split, each in names[form].items()} == {
            split: len(each) for split, each in names["examples"].items()
        }
    assert set(names["provenance"]["train"]["example_id"]) == {
        id for split in names["examples"].values() for id in split["id"]
    }


def test_formats_of_json_open_by_their_names_where_there_is_no_parquet(
    changing_command: CommandLine, changeable: Finished, tmp_path: Path
) -> None:
    changing_command("export", changeable.name, "--format", "messages", "--format", "jsonl", "--out", "json")
    opened = datasets.load_dataset(str(tmp_path / "json"))
    assert opened["train"].column_names == ["id", "instruction", "input", "output"]
    assert datasets.load_dataset(str(tmp_path / "json"), "messages")["train"].column_names == ["id", "messages"]


def test_without_pyarrow_what_can_be_made_is_made_and_what_is_missing_told(
    changing_command: CommandLine, changeable: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    outcome = changing_command("export", changeable.name, "--out", "data")
    assert outcome.code == 0
    assert "without pyarrow there is no provenance.parquet" in outcome.err
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names == {"README.md", "agreement.svg", "croissant.json", "examples.jsonl", "lengths.svg"}
    told = changing_command.refused(2, "export", changeable.name, "--provenance", "--out", "other")
    assert "pip install 'ensemble-instruct[dataset]'" in told
