"""Where each example of an export came from: what was compared, and every LM call that wrote a part of it."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.cursors import pages

PAGE = 500


class Source(NamedTuple):
    """An LM call: which model it asked, what its server said of itself, and what the prompt was made of.

    `seed_tasks` are the seed tasks' names in their file, in the order in which they were shown.
    """

    id: uuid.UUID
    stage: str
    model: str
    served_model: str | None
    model_revision: str | None
    server_version: str | None
    licence: str | None
    template: str
    template_version: int
    template_sha256: str
    seed_tasks: Sequence[str]
    instruction_ids: Sequence[uuid.UUID]


class Origin(NamedTuple):
    """A record of an imported file: where it stood, and what was said of the file."""

    id: uuid.UUID
    file: str
    line: int
    sha256: str
    source: str | None
    licence: str | None


class Compared(NamedTuple):
    """An output that was compared, and the call that wrote it, or the imported record that it stood in."""

    id: uuid.UUID
    voice: str
    generation_id: uuid.UUID | None
    origin_id: uuid.UUID | None


class Judged(NamedTuple):
    """An example with the verdict that made it, and what its instruction and its input came from: LM calls, or imported
    records."""

    example_id: uuid.UUID
    split: str | None
    run: str
    run_id: uuid.UUID
    judgement: int
    task_type: str
    instruction_id: uuid.UUID
    instance_id: uuid.UUID
    verdict_id: uuid.UUID
    candidate_id: uuid.UUID
    chosen_voice: str
    rule: str
    threshold: float
    exact_match: bool
    margin: float | None
    agreement: float | None
    scores: list[list[float]]
    instruction_generation_id: uuid.UUID | None
    instruction_origin_id: uuid.UUID | None
    instance_generation_id: uuid.UUID | None
    instance_origin_id: uuid.UUID | None
    candidate_ids: list[uuid.UUID]


@dataclass(frozen=True, slots=True)
class Provenance:
    """One example; `compared` are the rows and columns of its scores, in order. Each source and origin stands once."""

    judged: Judged
    compared: tuple[Compared, ...]
    sources: tuple[Source, ...]
    origins: tuple[Origin, ...]


_JUDGED = """
    SELECT e.id, x.split, e.run, e.run_id, e.judgement, e.task_type, e.instruction_id, e.instance_id, e.verdict_id,
      e.candidate_id, e.chosen_voice, e.rule, e.threshold, e.exact_match, e.margin, e.agreement, e.scores,
      i.generation_id, i.origin_id, n.generation_id, n.origin_id, v.candidate_ids
    FROM export_rows x JOIN lineage.examples e ON e.id = x.example_id
    JOIN verdicts v ON v.id = e.verdict_id JOIN instances n ON n.id = e.instance_id
    JOIN instructions i ON i.id = e.instruction_id WHERE x.export_id = :export ORDER BY x.place
"""


def provenance_pages(session: Session, export_id: uuid.UUID) -> Iterator[list[Provenance]]:
    """An export's examples in their order, in pages; memory stays flat, but for the names of the seed tasks."""
    seeds: dict[uuid.UUID, str] = {}
    for page in pages(session, _JUDGED, PAGE, export=export_id):
        yield _page(session, [Judged(*row) for row in page], seeds)


def _page(session: Session, page: Sequence[Judged], seeds: dict[uuid.UUID, str]) -> list[Provenance]:
    compared = _compared(session, {id for judged in page for id in judged.candidate_ids})
    calls = {judged.example_id: _calls(judged, compared) for judged in page}
    records = {judged.example_id: _records(judged, compared) for judged in page}
    sources = _sources(session, {id for ids in calls.values() for id in ids}, seeds)
    origins = _origins(session, {id for ids in records.values() for id in ids})
    return [
        Provenance(
            judged,
            tuple(compared[id] for id in judged.candidate_ids),
            tuple(sources[id] for id in calls[judged.example_id]),
            tuple(origins[id] for id in records[judged.example_id]),
        )
        for judged in page
    ]


def _calls(judged: Judged, compared: dict[uuid.UUID, Compared]) -> list[uuid.UUID]:
    """Each once: an instance's own output was mostly written by the call that wrote the instance."""
    outputs = (compared[id].generation_id for id in judged.candidate_ids)
    found = (judged.instruction_generation_id, judged.instance_generation_id, *outputs)
    return list(dict.fromkeys(id for id in found if id))


def _records(judged: Judged, compared: dict[uuid.UUID, Compared]) -> list[uuid.UUID]:
    """Each once: an imported record mostly has the instruction, the input and the output."""
    outputs = (compared[id].origin_id for id in judged.candidate_ids)
    found = (judged.instruction_origin_id, judged.instance_origin_id, *outputs)
    return list(dict.fromkeys(id for id in found if id))


def _compared(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Compared]:
    statement = text("SELECT id, voice, generation_id, origin_id FROM candidates WHERE id = ANY (:ids)")
    return {row.id: Compared(*row) for row in session.execute(statement, {"ids": list(ids)})}


def _sources(session: Session, ids: Collection[uuid.UUID], seeds: dict[uuid.UUID, str]) -> dict[uuid.UUID, Source]:
    rows = session.execute(
        text(
            """
            SELECT g.id, g.stage, m.name, coalesce(s.served_model, m.served_model), s.model_revision, s.server_version,
              m.licence, t.name, t.version, t.sha256, g.seed_task_ids, g.instruction_ids
            FROM generations g JOIN models m ON m.id = g.model_id JOIN prompt_templates t ON t.id = g.template_id
            LEFT JOIN servers s ON s.id = g.server_id WHERE g.id = ANY (:ids)
            """
        ),
        {"ids": list(ids)},
    ).all()
    _name_seeds(session, {id for row in rows for id in row.seed_task_ids} - seeds.keys(), seeds)
    return {row.id: _source(row, seeds) for row in rows}


def _origins(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Origin]:
    if not ids:
        return {}
    statement = text(
        "SELECT o.id, f.name, o.line, f.sha256, f.source, f.licence FROM origins o "
        "JOIN origin_files f ON f.id = o.file_id WHERE o.id = ANY (:ids)"
    )
    return {row.id: Origin(*row) for row in session.execute(statement, {"ids": list(ids)})}


def _source(row: Any, seeds: dict[uuid.UUID, str]) -> Source:
    source = Source(*row)
    return source._replace(seed_tasks=tuple(seeds[id] for id in row.seed_task_ids))


def _name_seeds(session: Session, ids: Collection[uuid.UUID], seeds: dict[uuid.UUID, str]) -> None:
    if ids:
        statement = text("SELECT id, source_id FROM seed_tasks WHERE id = ANY (:ids)")
        seeds.update(session.execute(statement, {"ids": list(ids)}).all())
