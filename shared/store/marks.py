"""Which records are retracted: those that a live retraction marks."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.store.arrays import any_of
from shared.store.tables.retractions import RetractedRecord, Retraction

LIVE = Retraction.undone_at.is_(None)


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a record is retracted: by which retraction, whose reason is this."""

    retraction: int
    reason: str


def is_retracted(record_id: InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    """The condition that the record with this key is retracted, e.g. `~is_retracted(Example.id)`."""
    kind = record_id.class_.__tablename__.removesuffix("s")  # there are fewer marks of one kind, if all are read
    marked = (RetractedRecord.record_id == record_id, RetractedRecord.kind == kind)
    of_live = (RetractedRecord.retraction_id == Retraction.id, LIVE)
    return exists().where(*marked, *of_live).correlate_except(RetractedRecord, Retraction)


def any_live(session: Session) -> bool:
    """Whether there is a retraction in force at all."""
    return bool(session.scalar(select(exists().where(LIVE))))


def retracted_among(session: Session, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these records that are retracted."""
    return set(marks_of(session, ids))


def marks_of(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Mark]]:
    """Those of these records that are retracted, with every reason."""
    if not ids or not any_live(session):
        return {}
    rows = session.execute(
        select(RetractedRecord.record_id, Retraction.id, Retraction.reason)
        .join(Retraction, Retraction.id == RetractedRecord.retraction_id)
        .where(RetractedRecord.record_id == any_of(ids), LIVE)
        .order_by(Retraction.id)
    )
    found: dict[uuid.UUID, list[Mark]] = defaultdict(list)
    for record_id, retraction, reason in rows:
        found[record_id].append(Mark(retraction, reason))
    return dict(found)
