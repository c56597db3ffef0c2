"""The lineage graph of one record, read from the `lineage` schema."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.store.marks import Mark, marks_of

KINDS = {
    "example": "examples",
    "verdict": "lineage.verdicts",  # with what its judgement decided by
    "candidate": "candidates",
    "instance": "instances",
    "instruction": "instructions",
    "generation": "generations",
    "seed_task": "seed_tasks",
    "prompt_template": "prompt_templates",
    "server": "servers",
    "model": "models",
    "origin": "lineage.origins",  # with the name of its file
    "origin_file": "origin_files",
}
MIN_PREFIX = 6
# What a node says of itself; prompts and responses are left to lineage.generations.
ATTRIBUTES = {
    "example": "run_id, task_type, instruction, input, output, surplus",
    "verdict": "judgement, rule, threshold, min_candidates, weights, families, state, reason, exact_match, margin, "
    "scores, candidate_ids, choice_id",
    "candidate": "number, voice, output, state, reason",
    "instance": "input, state, reason",
    "instruction": "text, state, reason, max_similarity, most_similar, accepted_order",
    "generation": "stage, attempt, model_id, endpoint, server_id, parameters, seed, finish_reason, fault, "
    "prompt_tokens, completion_tokens, latency_s, worker, created_at",
    "seed_task": "source_id, name, instruction",
    "prompt_template": "name, version, sha256",
    "server": "endpoint, served_model, model_revision, server_version, max_input_tokens, max_total_tokens",
    "model": "name, protocol, kind AS model_kind, served_model, licence",  # a node has a kind of its own
    "origin": "file, line, number, record",
    "origin_file": "name, sha256, voice, source, licence, records",
}


class RecordNotFoundError(UserError):
    """There is no record '{id}'. Write the id of an example, which an export in JSONL holds, or of any other
    record; its first {least} characters or more will do."""


class RecordAmbiguousError(UserError):
    """'{id}' begins the ids of several records: {found}; write more of it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One record in the graph, with what it says of itself, and why it is retracted, if it is."""

    kind: str
    id: uuid.UUID
    attributes: dict[str, Any]
    retracted: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` came from `parent` by way of `relation`."""

    child: uuid.UUID
    relation: str
    parent: uuid.UUID


@dataclass(frozen=True, slots=True)
class Lineage:
    """A record, all it came from, and how."""

    root: uuid.UUID
    nodes: dict[uuid.UUID, Node]
    edges: list[Edge]

    def parents(self, child: uuid.UUID, relation: str) -> list[Node]:
        """The nodes that `child` came from by way of `relation`, in their order."""
        return [self.nodes[edge.parent] for edge in self.edges if edge.child == child and edge.relation == relation]


def find_record(session: Session, id: str, tables: Mapping[str, str] = KINDS) -> tuple[str, uuid.UUID]:
    """The kind and key of the record whose id is, or begins with, `id`; `tables` has a table or view of each kind.

    Raises `RecordNotFoundError`, `RecordAmbiguousError`.
    """
    prefix = id.strip().lower()
    digits = prefix.replace("-", "")
    if len(digits) < MIN_PREFIX or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        raise RecordNotFoundError(id=id, least=MIN_PREFIX)
    least, most = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
    found = [
        (kind, row)
        for kind, table in tables.items()
        for row in session.execute(
            text(f"SELECT id FROM {table} WHERE id BETWEEN :least AND :most LIMIT 2"),  # noqa: S608 - our names
            {"least": least, "most": most},
        ).scalars()
    ]
    if not found:
        raise RecordNotFoundError(id=id, least=MIN_PREFIX)
    if len(found) > 1:
        raise RecordAmbiguousError(id=id, found=", ".join(f"{kind} {key}" for kind, key in found[:4]))
    return found[0]


def lineage_of(session: Session, kind: str, id: uuid.UUID) -> Lineage:
    """Everything that a record came from, down to models, templates, seed tasks and imported files."""
    rows = session.execute(
        text(
            """
            WITH above AS (
              SELECT CAST(:kind AS text) AS kind, CAST(:id AS uuid) AS id
              UNION SELECT ancestor_kind, ancestor_id FROM lineage.ancestors(:kind, :id)
            )
            SELECT e.child_kind, e.child_id, e.relation, e.parent_kind, e.parent_id
            FROM above CROSS JOIN LATERAL (
              SELECT * FROM lineage.edges e WHERE e.child_kind = above.kind AND e.child_id = above.id OFFSET 0
            ) e
            """
        ),
        {"kind": kind, "id": id},
    ).all()
    keys: dict[str, set[uuid.UUID]] = {kind: {id}}
    for row in rows:
        keys.setdefault(row.parent_kind, set()).add(row.parent_id)
    nodes = {key: node for kind, ids in keys.items() for key, node in _nodes(session, kind, ids).items()}
    return Lineage(id, nodes, [Edge(row.child_id, row.relation, row.parent_id) for row in rows])


def _nodes(session: Session, kind: str, ids: set[uuid.UUID]) -> dict[uuid.UUID, Node]:
    statement = text(f"SELECT id, {ATTRIBUTES[kind]} FROM {KINDS[kind]} WHERE id = ANY(:ids)")  # noqa: S608 - our names
    marks = marks_of(session, ids)
    rows = session.execute(statement, {"ids": sorted(ids)}).mappings()
    return {
        row["id"]: Node(
            kind,
            row["id"],
            {name: value for name, value in row.items() if name != "id"},
            tuple(marks.get(row["id"], ())),
        )
        for row in rows
    }
