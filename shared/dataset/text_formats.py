"""Examples as trainers read them from text: plain JSONL, Stanford Alpaca's JSON, and chat messages."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dataset.export_folder import Folder, GrowingFile
from shared.dataset.export_record import Column, ExportFormat, ExportOptions
from shared.store.exports import Row

# Stanford Alpaca's prompts, word for word (https://github.com/tatsu-lab/stanford_alpaca, train.py). As in its
# published data set (https://huggingface.co/datasets/tatsu-lab/alpaca), `text` ends with the output in the next line.
ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n{output}"
)
ALPACA_WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n{output}"
)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a file begins, what stands before each record, what ends it, and a record of a row."""

    opening: str
    between: str
    closing: str
    record: Callable[[Row, ExportOptions], dict[str, Any]]


def question(row: Row) -> str:
    """What a user says: the instruction, and after an empty line the input, if there is one."""
    return f"{row.instruction}\n\n{row.input}" if row.input else row.instruction


def column(row: Row, name: Column) -> Any:
    """What one of the further columns tells of a row."""
    match name:
        case Column.TASK_TYPE:
            return str(row.task_type)
        case Column.RUN:
            return row.run
        case Column.MODELS:
            return list(row.models)
        case Column.AGREEMENT:
            return row.agreement


def _further(row: Row, options: ExportOptions) -> dict[str, Any]:
    return {str(name): column(row, name) for name in options.columns}


def _plain(row: Row, options: ExportOptions) -> dict[str, Any]:
    texts = {"instruction": row.instruction, "input": row.input, "output": row.output}
    return {"id": str(row.id), **texts, **_further(row, options)}


def _alpaca(row: Row, options: ExportOptions) -> dict[str, Any]:
    texts = {"instruction": row.instruction, "input": row.input, "output": row.output}
    if not options.alpaca_prompt:
        return texts
    template = ALPACA_WITH_INPUT if row.input else ALPACA_WITHOUT_INPUT
    return {**texts, "text": template.format_map(texts)}


def _messages(row: Row, options: ExportOptions) -> dict[str, Any]:
    said = [{"role": "user", "content": question(row)}, {"role": "assistant", "content": row.output}]
    return {"id": str(row.id), "messages": said, **_further(row, options)}


TEXT_FORMATS = {
    ExportFormat.JSONL: TextFormat("", "", "\n", _plain),
    ExportFormat.ALPACA: TextFormat("[\n", ",\n", "", _alpaca),
    ExportFormat.MESSAGES: TextFormat("", "", "\n", _messages),
}
ENDINGS = {ExportFormat.ALPACA: "\n]\n"}


class TextFile:
    """A file of one format, written a page at a time."""

    def __init__(
        self, folder: Folder, path: str, form: ExportFormat, split: str | None, options: ExportOptions
    ) -> None:
        self._folder, self._path, self._form, self._split, self._options = folder, path, form, split, options
        self._shape = TEXT_FORMATS[form]
        self._rows = 0
        self._file: GrowingFile = folder.create(path)

    def write(self, rows: Sequence[Row]) -> None:
        """Append some examples. Raises `ExportFailedError`."""
        lines: list[str] = []
        for row in rows:
            before = self._shape.between if self._rows + len(lines) else self._shape.opening
            record = json.dumps(self._shape.record(row, self._options), ensure_ascii=False)
            lines.append(before + record + self._shape.closing)
        self._file.write("".join(lines).encode())
        self._rows += len(rows)

    def complete(self) -> None:
        """End it. Raises `ExportFailedError`."""
        self._file.write(ENDINGS.get(self._form, "").encode())
        self._folder.add(self._path, self._file, rows=self._rows, format=self._form, split=self._split)
