"""What one example looks like in each format of text."""

import json
import uuid
from pathlib import Path

import pytest

from shared.dataset.export_folder import Folder
from shared.dataset.export_record import Column, ExportFormat, ExportOptions
from shared.dataset.text_formats import TextFile
from shared.method.tasks import TaskType
from shared.store.exports import Row

ID = uuid.UUID("84d14977-af8b-52f0-8d89-0ce37ae889da")
WITH_INPUT = Row(ID, None, TaskType.INPUT_OUTPUT, "demo-1", "Sort.", "b a", 'a "b"\n{x}', 0.5, ("one", "two"))
WITHOUT_INPUT = Row(ID, None, TaskType.OUTPUT_ONLY, "demo-1", "Greet.", "", "Grüße")


def written(tmp_path: Path, form: ExportFormat, *rows: Row, **options: object) -> str:
    with Folder(tmp_path / "out") as folder:
        file = TextFile(folder, "file", form, None, ExportOptions.model_validate({"formats": [form], **options}))
        for row in rows:
            file.write([row])
        file.complete()
        folder.publish()
    return (tmp_path / "out" / "file").read_text(encoding="utf-8")


def test_plain_jsonl_has_four_fields(tmp_path: Path) -> None:
    lines = written(tmp_path, ExportFormat.JSONL, WITH_INPUT, WITHOUT_INPUT).splitlines()
    assert [list(json.loads(line)) for line in lines] == [["id", "instruction", "input", "output"]] * 2
    assert lines[1] == f'{{"id": "{ID}", "instruction": "Greet.", "input": "", "output": "Grüße"}}'


def test_jsonl_has_the_columns_that_were_asked_for(tmp_path: Path) -> None:
    (line,) = written(tmp_path, ExportFormat.JSONL, WITH_INPUT, columns=list(Column)).splitlines()
    assert {key: value for key, value in json.loads(line).items() if key in set(Column)} == {
        "task_type": "input_output",
        "run": "demo-1",
        "models": ["one", "two"],
        "agreement": 0.5,
    }


def test_alpaca_is_one_array_without_ids(tmp_path: Path) -> None:
    assert json.loads(written(tmp_path, ExportFormat.ALPACA, WITH_INPUT, WITHOUT_INPUT)) == [
        {"instruction": "Sort.", "input": "b a", "output": 'a "b"\n{x}'},
        {"instruction": "Greet.", "input": "", "output": "Grüße"},
    ]


def test_alpacas_prompt_has_a_place_for_the_input_if_there_is_one(tmp_path: Path) -> None:
    records = json.loads(written(tmp_path, ExportFormat.ALPACA, WITH_INPUT, WITHOUT_INPUT, alpaca_prompt=True))
    assert records[0]["text"] == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n"
        '### Instruction:\nSort.\n\n### Input:\nb a\n\n### Response:\na "b"\n{x}'
    )
    assert records[1]["text"] == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\nGreet.\n\n### Response:\nGrüße"
    )


@pytest.mark.parametrize(("row", "asked"), [(WITH_INPUT, "Sort.\n\nb a"), (WITHOUT_INPUT, "Greet.")])
def test_messages_are_a_question_and_its_answer(tmp_path: Path, row: Row, asked: str) -> None:
    record = json.loads(written(tmp_path, ExportFormat.MESSAGES, row))
    assert record == {
        "id": str(ID),
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": row.output}],
    }
