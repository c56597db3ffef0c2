"""Each format opens in the library that people open it with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import psycopg
import pyarrow.parquet
import pytest

from shared.dataset.splits import read_splits
from tests.integration.admin.command_line import CommandLine
from tests.integration.admin.conftest import Finished

FORMATS = ("jsonl", "alpaca", "messages", "parquet", "hf")
COLUMNS = ["id", "instruction", "input", "output", "task_type", "run", "models", "agreement"]


@pytest.fixture
def folder(changing_command: CommandLine, changeable: Finished, tmp_path: Path) -> Path:
    """An export in all formats, without splits."""
    formats = [argument for form in FORMATS for argument in ("--format", form)]
    changing_command("export", changeable.name, *formats, "--alpaca-prompt", "--out", "data")
    return tmp_path / "data"


@pytest.fixture
def examples(changeable: Finished) -> list[dict[str, Any]]:
    """What a reader of the database sees of the same."""
    query = """
        SELECT CAST(id AS text), instruction, input, output, task_type, run, (
          SELECT array_agg(DISTINCT m.model ORDER BY m.model)
          FROM lineage.ancestors('example', e.id) a JOIN lineage.models m ON m.id = a.ancestor_id
          WHERE a.ancestor_kind = 'model'
        ), agreement
        FROM lineage.examples e WHERE NOT surplus ORDER BY task_type, position
    """
    with psycopg.connect(changeable.database_url) as connection:
        return [dict(zip(COLUMNS, row, strict=True)) for row in connection.execute(query)]


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    yield
    datasets.enable_progress_bars()


def loaded(path: str, **options: Any) -> Any:
    return datasets.load_dataset(path, **options)


def test_the_folder_opens_as_it_is(folder: Path, examples: list[dict[str, Any]]) -> None:
    opened = loaded(str(folder))
    assert list(opened) == ["train"]
    assert opened["train"].column_names == COLUMNS
    assert opened["train"].to_list() == examples


def test_jsonl_opens_with_four_columns(folder: Path, examples: list[dict[str, Any]]) -> None:
    opened = loaded("json", data_files=str(folder / "examples.jsonl"), split="train")
    assert opened.to_list() == [{name: each[name] for name in COLUMNS[:4]} for each in examples]


def test_alpaca_opens_with_the_columns_of_its_data_set(folder: Path, examples: list[dict[str, Any]]) -> None:
    opened = loaded("json", data_files=str(folder / "alpaca.json"), split="train")
    assert opened.column_names == ["instruction", "input", "output", "text"]
    for row, example in zip(opened, examples, strict=True):
        assert row["text"].endswith(f"### Response:\n{example['output']}")
        assert ("### Input:" in row["text"]) == bool(example["input"])


def test_messages_are_what_a_trainer_of_conversations_takes(folder: Path, examples: list[dict[str, Any]]) -> None:
    opened = loaded("json", data_files=str(folder / "messages.jsonl"), split="train")
    for row, example in zip(opened, examples, strict=True):
        assert is_conversational(row)
        assert row["messages"][0]["content"].startswith(example["instruction"])
        assert row["messages"][1]["content"] == example["output"]


def is_conversational(row: dict[str, Any]) -> bool:
    """What TRL asks of a row's messages, and chat templates besides: roles that take turns, texts that are strings."""
    messages = row["messages"]
    roles = [message["role"] for message in messages]
    return (
        isinstance(messages, list)
        and roles == ["user", "assistant"] * (len(roles) // 2)
        and all(set(message) == {"role", "content"} for message in messages)
        and all(isinstance(message["content"], str) and message["content"] for message in messages)
    )


def test_parquet_opens_in_pyarrow(folder: Path, examples: list[dict[str, Any]]) -> None:
    file = pyarrow.parquet.ParquetFile(folder / "examples.parquet")
    assert file.read().to_pylist() == examples
    assert file.metadata.row_group(0).column(1).compression == "ZSTD"


def halving(database_url: str) -> str:
    """Two splits both of which have examples; with a split of fixed fractions that would be luck."""
    query = """
        SELECT DISTINCT p.generation_id FROM examples e JOIN instances i ON i.id = e.instance_id
        JOIN instructions p ON p.id = i.instruction_id WHERE NOT e.surplus
    """
    with psycopg.connect(database_url) as connection:
        roots = [root for (root,) in connection.execute(query)]
    splits = (f"validation={cut / 1000},test={(1000 - cut) / 1000}" for cut in range(1, 1000))
    return next(each for each in splits if len({read_splits(each).of(root) for root in roots}) == 2)


def test_splits_are_read_off_the_names(changing_command: CommandLine, changeable: Finished, tmp_path: Path) -> None:
    split = ("--split", halving(changeable.database_url))
    told = json.loads(
        changing_command("export", changeable.name, "--format", "hf", *split, "--out", "data", "--json").out
    )
    opened = loaded(str(tmp_path / "data"))
    with psycopg.connect(changeable.database_url) as connection:
        counts: dict[str, int] = dict(
            connection.execute("SELECT split, count(*) FROM lineage.export_rows GROUP BY 1").fetchall()
        )
    assert {name: len(each) for name, each in opened.items()} == counts
    assert {file["split"]: file["rows"] for file in told["files"] if file["format"]} == counts
    assert counts.keys() == {"validation", "test"}


def test_a_split_without_examples_is_told_and_has_no_file(changing_command: CommandLine, changeable: Finished) -> None:
    outcome = changing_command("export", changeable.name, "--split", "train=0.999,test=0.001")
    assert outcome.out == f"exports/{changeable.name}/examples-train.jsonl\n"
    assert "warning: the split test got no example" in outcome.err
