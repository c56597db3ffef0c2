"""The card of what was brought in from files, alone and beside what a run has made."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlcroissant
import psycopg
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard
from prov.model import ProvDocument

from tests.integration.admin.card_reading import sections, sentences, tables
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

MINE = [
    {"instruction": "Sort the words.", "input": "b a", "output": "a b", "annotator": "Jo"},
    {"instruction": "Tell a joke.", "output": "A short one."},
    {"instruction": "Sing a song of three lines.", "output": "La la la."},
]
OTHER = [{**MINE[0], "output": "a b!"}, {**MINE[1], "output": "A short joke."}]


def jsonl(name: str, records: list[dict[str, str]]) -> str:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


@pytest.fixture
def imported(changing_command: CommandLine, tmp_path: Path) -> CommandLine:
    """The command line of a database with a run that LMs made and two that were imported."""
    jsonl("mine.jsonl", MINE)
    jsonl("other.jsonl", OTHER)
    told = ("--source", "our team", "--licence", "cc-by-4.0")
    assert changing_command("import", "mine.jsonl", "--as", "single", *told).code == 0
    two = ("import", "mine.jsonl", "other.jsonl", "--as", "two", "--voice", "other", "--source", "our team")
    assert changing_command(*two, "--source", "theirs", "--licence", "cc-by-4.0", "--licence", "mit").code == 0
    return changing_command


@pytest.fixture
def reader(imported: CommandLine, changeable: Finished) -> Iterator[psycopg.Connection[Any]]:
    """Somebody who is nothing but a `dataset_reader`."""
    with psycopg.connect(changeable.database_url, autocommit=True) as connection:
        connection.execute("SET ROLE dataset_reader")
        yield connection


def export(command: CommandLine, *arguments: object) -> Path:
    """An export with all that can lie beside it; made a second time, it has the same bytes."""
    outcome = command("export", *arguments, "--prov", "--out", "data")
    assert outcome.code == 0, outcome
    assert command("export", *arguments, "--prov", "--out", "again").code == 0
    assert contents(Path("data")) == contents(Path("again"))
    return Path("data")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_alone_has_a_card_that_speaks_of_no_model(imported: CommandLine) -> None:
    folder = export(imported, "single")
    text, card = (folder / "README.md").read_text(), sections(folder)
    assert "3 instructions with their outputs, brought in from 1 file with\nEnsemble-Instruct" in text
    assert not {"Models", "LM calls"} & card.keys()
    assert "agreed on" not in text
    assert "What was imported is as it stood in its file" in sentences(card["Known biases"])[-1]
    assert "Most of them are by one voice, `instance`, an imported file." in card["Known biases"]
    assert "`cc-by-4.0`, the licence that all files that had a part" in card["Licence"]
    assert DatasetCard.load(folder / "README.md").data.license == "cc-by-4.0"


def test_each_file_is_told_with_figures_that_anybody_can_count(
    imported: CommandLine, changeable: Finished, reader: psycopg.Connection[Any]
) -> None:
    folder = export(imported, "two", changeable.name, "single")
    (told,) = tables(sections(folder)["Imported files"])
    counted = reader.execute(
        """
        SELECT f.run, f.file, f.voice, f.source, f.licence, CAST(f.records AS text),
          CAST(count(DISTINCT x.example_id) AS text), f.sha256
        FROM lineage.export_rows x CROSS JOIN LATERAL lineage.ancestors('example', x.example_id) a
        JOIN lineage.origin_files f ON f.id = a.ancestor_id WHERE a.ancestor_kind = 'origin_file'
        GROUP BY f.run, f.number, 2, 3, 4, 5, 6, 8 ORDER BY f.run = 'single', f.number
        """
    ).fetchall()
    assert [tuple(row.values()) for row in told] == counted
    assert [row["examples"] for row in told] == ["2", "2", "3"]
    models = {row["model"] for row in tables(sections(folder)["Models"])[0]}
    intro = f"made by {len(models)} language models and brought in from 2 files"
    assert intro in (folder / "README.md").read_text()
    assert "Not known: of the models and files" in sections(folder)["Licence"]


def test_provenance_leads_back_to_the_line_in_the_file(
    imported: CommandLine, changeable: Finished, reader: psycopg.Connection[Any]
) -> None:
    folder = export(imported, "two", changeable.name)
    rows = pyarrow.parquet.read_table(folder / "provenance.parquet").to_pylist()
    for row in rows:
        found = reader.execute(
            """
            SELECT CAST(o.id AS text) AS id, f.file, o.line, f.sha256, f.source, f.licence
            FROM lineage.ancestors('example', %s) a JOIN lineage.origins o ON o.id = a.ancestor_id
            JOIN lineage.origin_files f ON f.id = o.file_id ORDER BY f.number
            """,
            (row["example_id"],),
        )
        names = [column.name for column in found.description or ()]
        assert row["origins"] == [dict(zip(names, each, strict=True)) for each in found]
        assert row["origin_ids"] == [origin["id"] for origin in row["origins"]]
        assert bool(row["calls"]) != bool(row["origins"])
    brought = [row for row in rows if row["origins"]]
    assert [[(each["file"], each["line"]) for each in row["origins"]] for row in brought] == [
        [("mine.jsonl", 1), ("other.jsonl", 1)],
        [("mine.jsonl", 2), ("other.jsonl", 2)],
    ]
    assert all(output["origin_id"] in row["origin_ids"] for row in brought for output in row["outputs"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what mlcroissant reads with
def test_what_lies_beside_the_data_opens(imported: CommandLine) -> None:
    folder = export(imported, "single")
    opened = mlcroissant.Dataset(folder / "croissant.json")
    assert (opened.metadata.ctx.issues.errors, opened.metadata.ctx.issues.warnings) == (set(), set())
    files = [record["provenance/files"] for record in opened.records("provenance")]
    assert [[each.decode() for each in names] for names in files] == [["mine.jsonl"]] * 3
    assert len(list(opened.records("jsonl"))) == 3
    written = (folder / "provenance.prov.json").read_text()
    assert "Jo" not in written
    records = ProvDocument.deserialize(content=written, format="json").get_records()
    names = [str(record.identifier) for record in records if record.is_element()]
    assert sum(name.startswith("ei:origin.") for name in names) == 3
