"""LM calls as they were sent, to be sent again; and which calls a record came from."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.job import JobSpec, ModelSpec
from shared.lm import parameters
from shared.lm.protocol import Answer, Call, Description, FinishReason
from shared.store.lineage import Lineage, Node, lineage_of
from shared.store.tables.records import Generation
from shared.store.tables.runs import Model, Run, Server


class FailedThenError(UserError):
    """Generation {id} failed when it was sent ({fault}: {detail}), so there is no answer to compare another one with.
    Name one that was answered."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call with the answer that came then; `spec` is its model as the run's job describes it now."""

    id: uuid.UUID
    run: str
    stage: str
    model: str
    spec: ModelSpec
    call: Call
    answer: Answer
    sent_at: datetime


def stored_call(session: Session, id: uuid.UUID) -> StoredCall:
    """The generation of this id. Raises `FailedThenError`, and what `parameters.from_row` raises."""
    row, model, run, server = session.execute(
        select(Generation, Model.name, Run, Server)
        .join(Model, Model.id == Generation.model_id)
        .join(Run, Run.id == Generation.run_id)
        .outerjoin(Server, Server.id == Generation.server_id)
        .where(Generation.id == id)
    ).one()
    if row.response is None or row.finish_reason is None:
        raise FailedThenError(id=id, fault=row.fault, detail=row.detail)
    return StoredCall(
        id=id,
        run=run.name,
        stage=row.stage,
        model=model,
        spec=JobSpec.model_validate(run.job).models[model],
        call=parameters.from_row(row.prompt, row.parameters, row.seed),
        answer=Answer(
            text=row.response,
            finish_reason=FinishReason(row.finish_reason),
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            latency_s=row.latency_s,
            served=_description(row.endpoint, server),
        ),
        sent_at=row.created_at,
    )


def _description(endpoint: str, server: Server | None) -> Description:
    if server is None:
        return Description(endpoint, None, None, None, None, None)
    return Description(
        endpoint=endpoint,
        model_id=server.served_model,
        model_revision=server.model_revision,
        server_version=server.server_version,
        max_input_tokens=server.max_input_tokens,
        max_total_tokens=server.max_total_tokens,
    )


def calls_behind(session: Session, kind: str, id: uuid.UUID) -> list[tuple[Node, Node]]:
    """The generations that a record itself was made by, each with what it wrote of it: not those of the
    demonstrations that they were shown."""
    lineage = lineage_of(session, kind, id)
    found: dict[uuid.UUID, tuple[Node, Node]] = {}
    seen, waiting = {id}, [id]
    while waiting:
        for node, parent in _parents(lineage, waiting.pop(0)):
            if parent.kind == "generation":
                found.setdefault(parent.id, (parent, node))
            elif parent.id not in seen:
                seen.add(parent.id)
                waiting.append(parent.id)
    return list(found.values())


def _parents(lineage: Lineage, id: uuid.UUID) -> list[tuple[Node, Node]]:
    nodes = lineage.nodes
    return [(nodes[id], nodes[edge.parent]) for edge in lineage.edges if edge.child == id]
