"""Any record of the lineage, whole or in a line, by the view that tells of its kind."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.store.lineage import Node
from shared.store.marks import Mark

VIEWS = {
    "example": "lineage.examples",
    "verdict": "lineage.verdicts",
    "candidate": "lineage.candidates",
    "instance": "lineage.instances",
    "instruction": "lineage.instructions",
    "generation": "lineage.generations",
    "seed_task": "lineage.seed_tasks",
    "prompt_template": "lineage.prompt_templates",
    "server": "lineage.servers",
    "model": "lineage.models",
    "origin": "lineage.origins",
    "origin_file": "lineage.origin_files",
}
# What a node says of itself, by the names that shared.store.lineage gives it.
SUMMARIES = {
    "example": "instruction, output",
    "verdict": "judgement, rule, scores, exact_match, reason, choice_id",
    "candidate": "voice, output, reason",
    "instance": "input, reason",
    "instruction": "text, state, reason",
    "generation": "stage, attempt, prompt_tokens, completion_tokens, latency_s, fault",
    "seed_task": "source_id, instruction",
    "prompt_template": "template AS name, template_version AS version, sha256",
    "server": "endpoint, served_model, model_revision, server_version",
    "model": "model AS name, protocol, served_model",
    "origin": "file, line, record",
    "origin_file": "file AS name, sha256, source, licence",
}


class UnknownKindError(UserError):
    """There are no records of kind '{kind}'; there are: {kinds}."""


class RecordNotThereError(UserError):
    """There is no {kind} {id}."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record, with every column of its view."""

    kind: str
    id: uuid.UUID
    values: Mapping[str, Any]


def record(session: Session, kind: str, id: uuid.UUID) -> Record:
    """One record. Raises `UnknownKindError`, `RecordNotThereError`."""
    if kind not in VIEWS:
        raise UnknownKindError(kind=kind, kinds=", ".join(VIEWS))
    found = session.execute(text(f"SELECT * FROM {VIEWS[kind]} WHERE id = :id"), {"id": id}).mappings().first()  # noqa: S608 - our words
    if found is None:
        raise RecordNotThereError(kind=kind.replace("_", " "), id=id)
    return Record(kind, id, {name: value for name, value in found.items() if name != "id"})


def nodes(session: Session, records: Iterable[tuple[str, uuid.UUID]]) -> dict[uuid.UUID, Node]:
    """Records with what they say of themselves in a line; one of a kind that is not known here says nothing."""
    by_kind: dict[str, list[uuid.UUID]] = defaultdict(list)
    for kind, id in records:
        by_kind[kind].append(id)
    marks = marks_of(session, [id for ids in by_kind.values() for id in ids])
    found = {id: Node(kind, id, {}, marks.get(id, ())) for kind, ids in by_kind.items() for id in ids}
    for kind, ids in by_kind.items():
        if kind in VIEWS:
            statement = text(f"SELECT id, {SUMMARIES[kind]} FROM {VIEWS[kind]} WHERE id = ANY(:ids)")  # noqa: S608 - our words
            for row in session.execute(statement, {"ids": ids}).mappings():
                attributes = {name: row[name] for name in row if name != "id"}
                found[row["id"]] = replace(found[row["id"]], attributes=attributes)
    return found


def marks_of(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[Mark, ...]]:
    """Those of these records that are retracted, with every reason."""
    rows = session.execute(
        text(
            """
            SELECT record_id, retraction, reason FROM lineage.retracted_records
            WHERE record_id = ANY(:ids) AND NOT undone ORDER BY retraction
            """
        ),
        {"ids": ids},
    )
    found: dict[uuid.UUID, tuple[Mark, ...]] = defaultdict(tuple)
    for record_id, retraction, reason in rows:
        found[record_id] += (Mark(retraction, reason),)
    return found
