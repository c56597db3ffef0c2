"""The part of an export that tells, example by example, where it came from, for who has no database: Parquet."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.orm import Session

from shared.dataset.example_files import model_names
from shared.dataset.export_folder import Folder
from shared.dataset.export_record import ExportRecord
from shared.dataset.parquet_format import GroupedFile, require_pyarrow
from shared.store.authorship import authors_of
from shared.store.judgements import Told
from shared.store.provenance import Compared, Origin, Provenance, Source, provenance_pages

PROVENANCE = "provenance.parquet"


def write_provenance(session: Session, record: ExportRecord, folder: Folder, told: Told = lambda _: None) -> None:
    """Write a row for each of an export's examples, in their order.

    Raises `ExportFailedError`, `PyarrowMissingError`.
    """
    file = GroupedFile(folder, PROVENANCE, _schema(require_pyarrow()))
    names = model_names(session, record)
    for page in provenance_pages(session, record.id):
        authors = authors_of(session, [each.judged.example_id for each in page])
        models = [sorted({names[model] for model in authors[each.judged.example_id]}) for each in page]
        columns = [[value(each) for each in page] for value in VALUES.values()]
        file.write([*columns, models])
        told(len(page))
    file.complete()


def _of_verdict(name: str) -> Callable[[Provenance], Any]:
    return lambda each: getattr(each.judged, name)


def _id(name: str) -> Callable[[Provenance], str]:
    return lambda each: str(getattr(each.judged, name))


def _texts(ids: Iterable[uuid.UUID]) -> list[str]:
    return [str(id) for id in ids]


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _output(compared: Compared) -> dict[str, Any]:
    ids = {"generation_id": compared.generation_id, "origin_id": compared.origin_id}
    texts = {name: str(id) if id else None for name, id in ids.items()}
    return {"candidate_id": str(compared.id), "voice": compared.voice, **texts}


def _call(source: Source) -> dict[str, Any]:
    said = source._asdict()
    return {**said, "id": str(source.id), "instruction_ids": _texts(source.instruction_ids)}


def _record(origin: Origin) -> dict[str, Any]:
    return {**origin._asdict(), "id": str(origin.id)}


VALUES: dict[str, Callable[[Provenance], Any]] = {
    "example_id": _id("example_id"),
    "split": _of_verdict("split"),
    "run": _of_verdict("run"),
    "run_id": _id("run_id"),
    "judgement": _of_verdict("judgement"),
    "task_type": _of_verdict("task_type"),
    "instruction_id": _id("instruction_id"),
    "instance_id": _id("instance_id"),
    "verdict_id": _id("verdict_id"),
    "candidate_id": _id("candidate_id"),
    "chosen_voice": _of_verdict("chosen_voice"),
    "rule": _of_verdict("rule"),
    "threshold": _of_verdict("threshold"),
    "exact_match": _of_verdict("exact_match"),
    "margin": _of_verdict("margin"),
    "agreement": _of_verdict("agreement"),
    "outputs": lambda each: [_output(compared) for compared in each.compared],
    "scores": _of_verdict("scores"),
    "calls": lambda each: [_call(source) for source in each.sources],
    "origins": lambda each: [_record(origin) for origin in each.origins],
    "generation_ids": lambda each: _texts(source.id for source in each.sources),
    "template_sha256s": lambda each: _once(source.template_sha256 for source in each.sources),
    "seed_tasks": lambda each: _once(name for source in each.sources for name in source.seed_tasks),
    "instruction_ids": lambda each: _once(_texts(id for source in each.sources for id in source.instruction_ids)),
    "origin_ids": lambda each: _texts(origin.id for origin in each.origins),
    "files": lambda each: _once(origin.file for origin in each.origins),
}


def _schema(arrow: Any) -> Any:
    text, number, texts = arrow.string(), arrow.float64(), arrow.list_(arrow.string())
    output = arrow.struct([(name, text) for name in ("candidate_id", "voice", "generation_id", "origin_id")])
    said = [(name, text) for name in ("sha256", "source", "licence")]
    origin = arrow.struct([("id", text), ("file", text), ("line", arrow.int32()), *said])
    call = arrow.struct(
        [
            *((name, text) for name in ("id", "stage", "model", "served_model", "model_revision", "server_version")),
            *(("licence", text), ("template", text), ("template_version", arrow.int32()), ("template_sha256", text)),
            *(("seed_tasks", texts), ("instruction_ids", texts)),
        ]
    )
    types = {
        "judgement": arrow.int32(),
        "threshold": number,
        "exact_match": arrow.bool_(),
        "margin": number,
        "agreement": number,
        "outputs": arrow.list_(output),
        "scores": arrow.list_(arrow.list_(number)),
        "calls": arrow.list_(call),
        "origins": arrow.list_(origin),
        **dict.fromkeys(("generation_ids", "template_sha256s", "seed_tasks", "instruction_ids"), texts),
        **dict.fromkeys(("origin_ids", "files"), texts),
    }
    return arrow.schema([*((name, types.get(name, text)) for name in VALUES), ("models", texts)])
