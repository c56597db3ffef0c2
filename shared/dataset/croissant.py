"""What an export's files hold, as Croissant metadata: JSON-LD that dataset tools read (https://docs.mlcommons.org/croissant)."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from sqlalchemy.orm import Session

from shared.dataset.card_terms import PAPERS, description_of, licence_of, title_of, version_of, written_by
from shared.dataset.export_folder import Folder
from shared.dataset.export_record import Column, ExportedFile, ExportFormat, ExportRecord
from shared.dataset.provenance_file import PROVENANCE
from shared.store.judgements import Told

CROISSANT = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
ENCODINGS = {
    "jsonl": "application/jsonlines",
    "json": "application/json",
    "parquet": "application/x-parquet",
}
TEXT, NUMBER, WHOLE_NUMBER, TRUTH = "sc:Text", "sc:Float", "sc:Integer", "sc:Boolean"
EXAMPLE = ("id", "instruction", "input", "output")
# A column's type, and of how many dimensions the array is, if it is one.
COLUMNS = {
    **dict.fromkeys((*EXAMPLE, "text", Column.TASK_TYPE, Column.RUN), (TEXT, 0)),
    Column.MODELS: (TEXT, 1),
    Column.AGREEMENT: (NUMBER, 0),
}
# Of provenance.parquet; the lists of structures are for who reads the file itself.
PROVENANCE_COLUMNS = {
    **dict.fromkeys(("example_id", "run", "run_id", "task_type", "instruction_id", "instance_id"), (TEXT, 0)),
    **dict.fromkeys(("verdict_id", "candidate_id", "chosen_voice", "rule"), (TEXT, 0)),
    "judgement": (WHOLE_NUMBER, 0),
    **dict.fromkeys(("threshold", "margin", "agreement"), (NUMBER, 0)),
    "exact_match": (TRUTH, 0),
    "scores": (NUMBER, 2),
    **dict.fromkeys(("generation_ids", "template_sha256s", "seed_tasks", "instruction_ids", "models"), (TEXT, 1)),
    **dict.fromkeys(("origin_ids", "files"), (TEXT, 1)),
}


def write_croissant(session: Session, record: ExportRecord, folder: Folder, told: Told = lambda _: None) -> None:
    """Write the metadata of the files that are there already. Raises `ExportFailedError`."""
    file = folder.create(CROISSANT)
    file.write(orjson.dumps(metadata(record), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    folder.add(CROISSANT, file, written_by=_written_by(record))
    told(record.rows)


def metadata(record: ExportRecord) -> dict[str, Any]:
    """The metadata in plain values. A file's record set has the name of the file."""
    licence = licence_of(record)
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": title_of(record),
        "conformsTo": CONFORMS_TO,
        "description": description_of(record),
        "license": licence.name or licence.id,
        "version": version_of(record),
        "datePublished": record.created_at.date().isoformat(),
        "citeAs": "\n".join(PAPERS),
        "distribution": [_file_object(file) for file in _described(record)],
        "recordSet": [_record_set(file, record) for file in _described(record)],
    }


def _described(record: ExportRecord) -> list[ExportedFile]:
    return [file for file in record.files if file.format or file.path == PROVENANCE]


def _written_by(record: ExportRecord) -> str:
    """Whatever decided the bytes that are told of here decides these, too."""
    return written_by(*dict.fromkeys(file.written_by for file in _described(record) if file.written_by))


def _file_object(file: ExportedFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": ENCODINGS[file.path.rpartition(".")[2]],
        "sha256": file.sha256,
    }


def _record_set(file: ExportedFile, record: ExportRecord) -> dict[str, Any]:
    name = _name(file)
    key = "example_id" if file.path == PROVENANCE else "id"
    fields = list(_fields(file, name, record))
    keyed = {"key": {"@id": f"{name}/{key}"}} if any(field["name"] == key for field in fields) else {}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": _told_of(file),
        **keyed,
        "field": fields,
    }


def _name(file: ExportedFile) -> str:
    """By the format, since two of them may have files of one name but for the ending."""
    stem = file.path.rpartition("/")[2].rpartition(".")[0]
    if file.format is None:
        return stem
    split = stem if file.format == ExportFormat.HF else file.split
    return f"{file.format}-{split}" if split else file.format


def _told_of(file: ExportedFile) -> str:
    if file.path == PROVENANCE:
        return f"Where each of the {file.rows} examples came from."
    split = f" of the split {file.split}" if file.split else ""
    return f"{file.rows} examples{split}, in the format {file.format}."


def _fields(file: ExportedFile, name: str, record: ExportRecord) -> Iterator[dict[str, Any]]:
    options = record.options
    if file.path == PROVENANCE:
        split = {"split": (TEXT, 0)} if options.split else {}
        yield from _columns(file, name, {**PROVENANCE_COLUMNS, **split})
        return
    match file.format:
        case ExportFormat.JSONL:
            yield from _columns(file, name, _typed((*EXAMPLE, *options.columns)))
        case ExportFormat.ALPACA:
            text = ("text",) if options.alpaca_prompt else ()
            for column in (*EXAMPLE[1:], *text):
                yield _field(file, f"{name}/{column}", {"jsonPath": f"$[*].{column}"}, TEXT)
        case ExportFormat.MESSAGES:
            yield from _columns(file, name, _typed(("id",)))
            yield _turns(file, f"{name}/messages")
            yield from _columns(file, name, _typed(options.columns))
        case _:
            yield from _columns(file, name, _typed((*EXAMPLE, *Column)))


def _typed(columns: Iterable[str]) -> dict[str, tuple[str, int]]:
    return {str(column): COLUMNS[column] for column in columns}


def _columns(file: ExportedFile, name: str, columns: dict[str, tuple[str, int]]) -> Iterator[dict[str, Any]]:
    for column, (type_, dimensions) in columns.items():
        yield _field(file, f"{name}/{column}", {"column": column}, type_, _array(dimensions))


def _array(dimensions: int) -> dict[str, Any]:
    return {"isArray": True, "arrayShape": ",".join(["-1"] * dimensions)} if dimensions else {}


def _field(
    file: ExportedFile, id: str, extract: dict[str, str], type_: str, more: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": id,
        "name": id.rpartition("/")[2],
        "dataType": type_,
        "source": {"fileObject": {"@id": file.path}, "extract": extract},
        **(more or {}),
    }


def _turns(file: ExportedFile, id: str) -> dict[str, Any]:
    """The turns of a conversation, each with who speaks and what is said."""
    source = {"fileObject": {"@id": file.path}, "extract": {"column": "messages"}}
    return {
        "@type": "cr:Field",
        "@id": id,
        "name": "messages",
        **_array(1),
        "source": source,
        "subField": [
            {
                "@type": "cr:Field",
                "@id": f"{id}/{part}",
                "name": part,
                "dataType": TEXT,
                "source": {**source, "transform": {"jsonPath": part}},
            }
            for part in ("role", "content")
        ],
    }


_TERMS = (
    *("arrayShape", "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path"),
    *("recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
    "transform",
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
