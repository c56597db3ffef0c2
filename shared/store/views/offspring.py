"""What came of a record, one step further: counted, as far as it is worth while, and the first by name."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.lineage import Node
from shared.store.views.records import nodes

MOST_COUNTED = 1_000
NAMED = 8


def _edge(child: str, relation: str, parent: str) -> str:
    """Constants let the planner leave out all other kinds of edges."""
    return (
        f"SELECT child_id AS id FROM lineage.edges WHERE child_kind = '{child}' AND relation = '{relation}' "  # noqa: S608 - our words
        f"AND parent_kind = '{parent}' AND parent_id = :id"
    )


_OF_INSTANCE = "SELECT id FROM lineage.{} WHERE instance_id = :id"
_COMPARED = """
SELECT v.id FROM lineage.candidates c CROSS JOIN LATERAL (
  SELECT w.id FROM lineage.verdicts w WHERE w.instance_id = c.instance_id AND c.id = ANY (w.candidate_ids) OFFSET 0
) v WHERE c.id = :id
"""
_WROTE_AFTER = """
SELECT i.id FROM lineage.generations g JOIN lineage.instructions i ON i.generation_id = g.id
WHERE g.{} @> ARRAY[CAST(:id AS uuid)]
"""
_SHOWN = "SELECT id FROM lineage.generations WHERE {} @> ARRAY[CAST(:id AS uuid)]"

# By the kind of the record: what became of it, the kind of that, and the question.
WAYS: dict[str, Sequence[tuple[str, str, str]]] = {
    "verdict": [("made", "example", _edge("example", "decided_by", "verdict"))],
    "candidate": [
        ("became the output of", "example", _edge("example", "output_from", "candidate")),
        ("was compared in", "verdict", _COMPARED),
    ],
    "instance": [
        ("became", "example", _edge("example", "made_from", "instance")),
        ("was judged in", "verdict", _OF_INSTANCE.format("verdicts")),
        ("was answered by", "candidate", _OF_INSTANCE.format("candidates")),
    ],
    "instruction": [
        ("became", "example", "SELECT id FROM lineage.examples WHERE instruction_id = :id"),
        ("was carried out in", "instance", _edge("instance", "carries_out", "instruction")),
        ("was shown in the prompts of", "generation", _SHOWN.format("instruction_ids")),
        ("was shown to the LM that wrote", "instruction", _WROTE_AFTER.format("instruction_ids")),
    ],
    "generation": [
        ("wrote", child, _edge(child, "written_by", "generation")) for child in ("instruction", "instance", "candidate")
    ],
    "seed_task": [
        ("was shown in the prompts of", "generation", _SHOWN.format("seed_task_ids")),
        ("was shown to the LM that wrote", "instruction", _WROTE_AFTER.format("seed_task_ids")),
    ],
    "prompt_template": [("was rendered for", "generation", _edge("generation", "rendered_from", "prompt_template"))],
    "server": [("answered", "generation", _edge("generation", "answered_by", "server"))],
    "model": [
        ("is served by", "server", _edge("server", "serves", "model")),
        ("was asked in", "generation", _edge("generation", "asked", "model")),
    ],
    "origin": [
        ("holds", child, _edge(child, "imported_from", "origin")) for child in ("instruction", "instance", "candidate")
    ],
    "origin_file": [("holds", "origin", _edge("origin", "stands_in", "origin_file"))],
}


@dataclass(frozen=True, slots=True)
class Offspring:
    """What became of a record in one way; `count` stops at `MOST_COUNTED`."""

    way: str
    kind: str
    count: int
    first: Sequence[Node]


def offspring(session: Session, kind: str, id: uuid.UUID) -> list[Offspring]:
    """What came of a record, way by way; ways that nothing came by are left out."""
    found = []
    for way, child, question in WAYS.get(kind, ()):
        statement = text(f"{question} LIMIT {MOST_COUNTED}")
        ids: Sequence[uuid.UUID] = session.execute(statement, {"id": id}).scalars().all()
        if ids:
            first = nodes(session, [(child, each) for each in ids[:NAMED]])
            found.append(Offspring(way, child, len(ids), list(first.values())))
    return found
