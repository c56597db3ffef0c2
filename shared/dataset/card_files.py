"""How an export's files are loaded, as its card tells it and as the `datasets` library reads it off the card."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.dataset.example_files import COLUMNAR, WHOLE
from shared.dataset.export_record import Column, ExportedFile, ExportFormat, ExportRecord
from shared.dataset.provenance_file import PROVENANCE

DEFAULT = "default"
MEANINGS = {
    "id": "the example's key in the database, and in `provenance.parquet` if that is there",
    "instruction": "the task, in words",
    "input": "what the task is to be done with; empty if it needs nothing",
    "output": "the answer, chosen from several if there were several",
    "text": "the whole in the prompt that Alpaca was trained with",
    "messages": "the instruction with its input as a user's turn, and the output as an assistant's",
    Column.TASK_TYPE: "`input_output` or `output_only`",
    Column.RUN: "the run that made it",
    Column.MODELS: "every model that it came from, over its whole ancestry; none if it was imported",
    Column.AGREEMENT: "how far the output agrees with the others that it was compared with, 0 to 1",
}


def configs(record: ExportRecord) -> list[dict[str, Any]]:
    """The hub's `configs`: one for each format, the first as the default."""
    return [
        {
            "config_name": name if place else DEFAULT,
            "data_files": [{"split": split, "path": paths} for split, paths in files.items()],
        }
        for place, (name, files) in enumerate(_named(record).items())
    ]


def _named(record: ExportRecord) -> dict[str, dict[str, list[str]]]:
    """The files of each split, by the format.

    `datasets` reads all of a repository by one builder, so formats in JSON are left out where there is Parquet.
    """
    columnar = [form for form in COLUMNAR if form in record.options.formats]
    named: dict[str, dict[str, list[str]]] = {}
    for form in sorted(columnar, key=lambda form: form is not ExportFormat.HF) or record.options.formats:
        for file in _of_format(record, form):
            named.setdefault(str(form), {}).setdefault(file.split or WHOLE, []).append(file.path)
    if columnar and any(file.path == PROVENANCE for file in record.files):
        named["provenance"] = {WHOLE: [PROVENANCE]}
    return named


def _of_format(record: ExportRecord, form: ExportFormat) -> Sequence[ExportedFile]:
    return [file for file in record.files if file.format == form]


def loader(record: ExportRecord) -> Iterator[str]:
    """Lines of Python that load each of the formats."""
    named = _named(record)
    for place, name in enumerate(named):
        yield f'{name} = load_dataset("DIR", "{name}")' if place else 'examples = load_dataset("DIR")'
    for form in record.options.formats:
        if form not in named:
            files = {file.split or WHOLE: f"DIR/{file.path}" for file in _of_format(record, form)}
            yield f'{form} = load_dataset("json", data_files={files})'


def columns(record: ExportRecord) -> list[tuple[str, str]]:
    """The columns of the formats that there are, with what they mean."""
    options, there = record.options, {"instruction", "input", "output"}
    if set(options.formats) != {ExportFormat.ALPACA}:
        there.add("id")
    if options.alpaca_prompt:
        there.add("text")
    if ExportFormat.MESSAGES in options.formats:
        there.add("messages")
    further = set(Column) if set(options.formats) & set(COLUMNAR) else set(options.columns)
    return [(str(name), meaning) for name, meaning in MEANINGS.items() if name in there | further]
