"""What came of a seed task, a model, a prompt template, an instruction or an import: every example downstream."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.store.lineage import RecordNotFoundError, find_record


class RootKind(StrEnum):
    """What examples can be traced to; each is a kind of node in the lineage."""

    SEED = "seed_task"
    MODEL = "model"
    PROMPT = "prompt_template"
    INSTRUCTION = "instruction"
    ORIGIN = "origin"
    ORIGIN_FILE = "origin_file"


class RootNotFoundError(UserError):
    """There is no {kind} '{name}'. {mend}"""


@dataclass(frozen=True, slots=True)
class Root:
    """A thing to trace examples to."""

    kind: RootKind
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class AffectedExample:
    """An example that came from a root; `distance` is the fewest edges between them."""

    id: uuid.UUID
    run: str
    judgement: int
    distance: int
    surplus: bool
    instruction: str


_FIND = {
    RootKind.SEED: (
        "SELECT id FROM seed_tasks WHERE source_id = :name OR CAST(id AS text) = :name",
        "It is named by its id in the seed file.",
    ),
    RootKind.MODEL: (
        "SELECT id FROM models WHERE :name IN (name, served_model, CAST(id AS text))",
        "It is named as in the job, or as its server knows it; `ensemble-instruct status RUN` lists a run's.",
    ),
    RootKind.PROMPT: (
        "SELECT id FROM prompt_templates WHERE :name IN (name, name || '@' || version, sha256, CAST(id AS text))",
        "It is named by its name, NAME@VERSION or its sha256; `ensemble-instruct lineage ID` shows an example's.",
    ),
    RootKind.ORIGIN_FILE: (
        "SELECT id FROM origin_files WHERE :name IN (name, sha256, CAST(id AS text))",
        "It is named by its name without folders, or its sha256; lineage.origin_files lists them all.",
    ),
}


def find_roots(session: Session, kind: RootKind, name: str) -> list[Root]:
    """The things of this kind and name: a model, or an imported file, is there once for each run.

    An instruction is named by its id or the beginning. Raises `RootNotFoundError`, and what `find_record` raises.
    """
    if kind is RootKind.INSTRUCTION:
        found_kind, id = find_record(session, name)
        if found_kind != kind:
            raise RootNotFoundError(kind=kind, name=name, mend=f"It is the id of: {found_kind.replace('_', ' ')}.")
        return [Root(kind, id)]
    query, mend = _FIND[kind]
    found = session.execute(text(query), {"name": name}).scalars().all()
    if not found:
        raise RootNotFoundError(kind=kind.replace("_", " "), name=name, mend=mend)
    return [Root(kind, id) for id in found]


def find_origins(session: Session, name: str) -> list[Root]:
    """The imported files of this name, or the file or record whose id this is, or begins so.

    Raises `RootNotFoundError`, `RecordAmbiguousError`.
    """
    with suppress(RootNotFoundError):
        return find_roots(session, RootKind.ORIGIN_FILE, name)
    try:
        kind, id = find_record(session, name)
    except RecordNotFoundError:
        mend = f"{_FIND[RootKind.ORIGIN_FILE][1]} A record of one is named by its id."
        raise RootNotFoundError(kind="imported file", name=name, mend=mend) from None
    if kind not in (RootKind.ORIGIN, RootKind.ORIGIN_FILE):
        raise RootNotFoundError(kind="imported file", name=name, mend=f"It is the id of: {kind.replace('_', ' ')}.")
    return [Root(RootKind(kind), id)]


def examples_from(session: Session, roots: Sequence[Root]) -> list[AffectedExample]:
    """Every example that came from any of them, the nearest first."""
    rows = session.execute(
        text(
            """
            SELECT e.id, e.run, e.judgement, min(d.distance) AS distance, e.surplus, e.instruction
            FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[])) AS root (kind, id)
            CROSS JOIN LATERAL lineage.descendants(root.kind, root.id) d
            JOIN lineage.examples e ON e.id = d.descendant_id
            WHERE d.descendant_kind = 'example'
            GROUP BY e.id, e.run, e.judgement, e.surplus, e.instruction, e.task_type, e.position
            ORDER BY distance, e.run, e.judgement, e.task_type, e.position
            """
        ),
        {"kinds": [str(root.kind) for root in roots], "ids": [root.id for root in roots]},
    )
    return [AffectedExample(**row._mapping) for row in rows]
