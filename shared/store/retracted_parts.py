"""What a run is made of that is retracted: seed tasks, prompt templates, models, imported files."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from shared.store.arrays import any_of
from shared.store.marks import LIVE, Mark
from shared.store.tables.origins import OriginFile
from shared.store.tables.retractions import Retraction, RetractionRoot, RootKind
from shared.store.tables.runs import Model, RunPrompt, Server


@dataclass(frozen=True, slots=True)
class RetractedModel:
    """A model of some run. `declared` is the name that its job says its servers know it by, `said` are those that they
    told of."""

    name: str
    declared: str | None
    said: frozenset[str]
    mark: Mark


def named(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, Mark]]:
    """Those of these things that a live retraction names, with what it calls them."""
    rows = session.execute(
        select(RetractionRoot.record_id, Retraction.what, Retraction.id, Retraction.reason)
        .join(Retraction, Retraction.id == RetractionRoot.retraction_id)
        .where(RetractionRoot.record_id == any_of(ids), LIVE)
        .order_by(Retraction.id.desc())
    )
    return {record_id: (what, Mark(retraction, reason)) for record_id, what, retraction, reason in rows}


def parts_of(session: Session, run_id: uuid.UUID) -> list[tuple[str, Mark]]:
    """The models and prompt templates of a run that a live retraction names, as it calls them."""
    parts = union(
        select(Model.id).where(Model.run_id == run_id), select(RunPrompt.template_id).where(RunPrompt.run_id == run_id)
    )
    return sorted(named(session, session.scalars(parts).all()).values(), key=lambda part: part[1].retraction)


def retracted_models(session: Session) -> list[RetractedModel]:
    """Every model that a live retraction names."""
    rows = session.execute(
        select(Model.id, Model.name, Model.served_model, Retraction.id, Retraction.reason)
        .join(RetractionRoot, RetractionRoot.record_id == Model.id)
        .join(Retraction, Retraction.id == RetractionRoot.retraction_id)
        .where(RetractionRoot.kind == RootKind.MODEL, LIVE)
        .order_by(Retraction.id, Model.name)
    ).all()
    said: dict[uuid.UUID, set[str]] = {row[0]: set() for row in rows}
    told = select(Server.model_id, Server.served_model).where(Server.model_id == any_of(said))
    for model_id, served in session.execute(told):
        said[model_id].update([served] if served else [])
    return [
        RetractedModel(name, declared, frozenset(said[id]), Mark(retraction, reason))
        for id, name, declared, retraction, reason in rows
    ]


def retracted_files(session: Session, digests: Collection[str]) -> dict[str, Mark]:
    """Those of the files with these SHA-256 that a live retraction names, in whatever run they are."""
    rows = session.execute(
        select(OriginFile.sha256, Retraction.id, Retraction.reason)
        .join(RetractionRoot, RetractionRoot.record_id == OriginFile.id)
        .join(Retraction, Retraction.id == RetractionRoot.retraction_id)
        .where(OriginFile.sha256.in_(digests), LIVE)
        .order_by(Retraction.id.desc())
    )
    return {sha256: Mark(retraction, reason) for sha256, retraction, reason in rows}
