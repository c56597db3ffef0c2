"""Retractions: made, completed, undone, listed.

A retraction and its marks are written in one transaction. From then on whatever comes of what it names is marked by
triggers, in the transaction that writes it. Only writers that were under way have not heard of it: `renew_marks`
waits for those, and marks what they wrote.
"""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from shared.errors import UserError, WorldError
from shared.store.arrays import any_of
from shared.store.descent import Reached, Root, Told, counts, trace
from shared.store.impact import AffectedExample, traced_examples
from shared.store.locks import try_lock
from shared.store.marks import LIVE
from shared.store.reloading import Using, reload_seeds, runs_using
from shared.store.tables.retractions import Retraction, RetractionRoot, RootKind

SETTLE_S = 10.0  # for writers under way to end; as a rule they take milliseconds
LOOK_S = 0.05
LONG_S = 60.0  # after which what is written beside is left for later, if it makes more marks each time
SAMPLES = 20
SHARED = (RootKind.SEED, RootKind.PROMPT)  # what belongs to no run


class RetractedAlreadyError(UserError):
    """{kind} {what} is retracted already: by {by} in retraction {retraction}, for this reason: {reason}"""


class RetractingAlreadyError(WorldError):
    """Another command is retracting something; try again when it is done."""


class RetractionNotFoundError(UserError):
    """There is no retraction {id}; `ensemble-instruct retractions` lists those there are."""


class UndoneAlreadyError(UserError):
    """Retraction {id} was undone already, by {by} on {on:%Y-%m-%d}."""


@dataclass(frozen=True, slots=True)
class RetractionView:
    """A retraction, with how many records it marks; it is live while `undone_at` is none."""

    retraction: int
    kind: RootKind
    what: str
    reason: str
    retracted_by: str
    created_at: datetime
    marked_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None
    examples: int
    records: dict[str, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a retraction marks, or would: counts, and the nearest examples."""

    reached: list[Reached]
    samples: list[AffectedExample]
    using: list[Using]
    retraction: int | None = None


def survey(session: Session, roots: Sequence[Root], told: Told = lambda _: None) -> Extent:
    """What retracting these would mark. Until the transaction ends it can be written."""
    trace(session, roots, told)
    return Extent(counts(session), traced_examples(session, SAMPLES), runs_using(session, roots))


def refuse_again(session: Session, roots: Sequence[Root], what: str) -> None:
    """Raises `RetractedAlreadyError` if a live retraction names all of these."""
    ids = {root.id for root in roots}
    found = session.execute(
        select(Retraction.id, Retraction.retracted_by, Retraction.reason)
        .join(RetractionRoot, RetractionRoot.retraction_id == Retraction.id)
        .where(LIVE, RetractionRoot.record_id == any_of(ids))
        .group_by(Retraction.id)
        .having(func.count() == len(ids))
        .order_by(Retraction.id)
    ).first()
    if found:
        kind = roots[0].kind.replace("_", " ").capitalize()
        raise RetractedAlreadyError(kind=kind, what=what, retraction=found[0], by=found[1], reason=found[2])


def retract(
    session: Session, roots: Sequence[Root], what: str, reason: str, by: str, told: Told = lambda _: None
) -> Extent:
    """Retract these, with all that came of them; the runs that show them in prompts are to load them anew.

    Commits. Raises `RetractedAlreadyError`, `RetractingAlreadyError`.
    """
    if not try_lock(session, "retract"):
        raise RetractingAlreadyError
    refuse_again(session, roots, what)
    before = _written(session)  # looked at first: what is written from now on makes a difference
    extent = survey(session, roots, told)
    values = {"kind": roots[0].kind, "what": what, "reason": reason, "retracted_by": by}
    retraction = session.scalars(insert(Retraction).values(values).returning(Retraction.id)).one()
    session.execute(
        insert(RetractionRoot),
        [{"retraction_id": retraction, "record_id": root.id, "kind": root.kind} for root in roots],
    )
    told(f"{sum(each.records for each in extent.reached):,} marks")
    session.execute(text(_MARK), {"retraction": retraction})
    reload_seeds(session, roots)
    session.commit()
    own = None if roots[0].kind in SHARED else {each.run_id for each in extent.reached}
    _complete(session, retraction, roots, before, own)
    return Extent(extent.reached, extent.samples, runs_using(session, roots), retraction)


def unretract(session: Session, id: int, by: str, reason: str | None) -> Retraction:
    """Undo a retraction: its marks stay, and count no more. Commits.

    Raises `RetractionNotFoundError`, `UndoneAlreadyError`.
    """
    row = session.scalars(select(Retraction).where(Retraction.id == id).with_for_update()).one_or_none()
    if row is None:
        raise RetractionNotFoundError(id=id)
    if row.undone_at is not None:
        raise UndoneAlreadyError(id=id, by=row.undone_by, on=row.undone_at)
    undone = {"undone_at": func.now(), "undone_by": by, "undone_reason": reason}
    session.execute(update(Retraction).where(Retraction.id == id).values(undone))
    reload_seeds(session, _roots(session, id))
    session.commit()
    return row


def retractions(session: Session) -> list[RetractionView]:
    """Every retraction, the newest first."""
    rows = session.execute(text("SELECT * FROM lineage.retractions ORDER BY retraction DESC")).mappings()
    return [RetractionView(**{**row, "kind": RootKind(row["kind"])}) for row in rows]


def renew_marks(session: Session) -> None:
    """See to it that whatever is committed by now, and came of something retracted, is marked.

    To be called before retracted records are left out. It ends the session's transaction, and costs one look at a
    small table unless a retraction was made while others were writing.
    """
    for id in session.scalars(select(Retraction.id).where(LIVE, Retraction.marked_at.is_(None))).all():
        _complete(session, id, _roots(session, id))
    session.commit()


def _roots(session: Session, id: int) -> list[Root]:
    rows = session.execute(
        select(RetractionRoot.kind, RetractionRoot.record_id).where(RetractionRoot.retraction_id == id)
    )
    return [Root(RootKind(kind), record_id) for kind, record_id in rows]


Written = Mapping[uuid.UUID, tuple[int, int]]


def _written(session: Session) -> Written:
    """How many calls and other records have been written in each run: it changes with whatever is written there."""
    rows = session.execute(
        text(
            """
            SELECT r.id,
              (SELECT sum(t.calls) FROM generation_totals t WHERE t.run_id = r.id),
              (SELECT sum(t.records) FROM record_totals t WHERE t.run_id = r.id)
            FROM runs r
            """
        )
    )
    return {run_id: (calls or 0, records or 0) for run_id, calls, records in rows}


_MARK = """
    INSERT INTO retracted_records (record_id, retraction_id, kind, distance)
    SELECT d.id, :retraction, d.kind, d.distance FROM descent d ORDER BY d.id
"""
_MARK_MORE = """
    INSERT INTO retracted_records (record_id, retraction_id, kind, distance)
    SELECT d.id, :retraction, d.kind, d.distance FROM descent d
    WHERE NOT EXISTS (
      SELECT FROM retracted_records m
      WHERE m.record_id = d.id AND m.retraction_id = :retraction AND m.distance <= d.distance
    )
    ORDER BY d.id ON CONFLICT (record_id, retraction_id) DO UPDATE SET distance = excluded.distance
      WHERE retracted_records.distance > excluded.distance
"""


def _complete(
    session: Session,
    retraction: int,
    roots: Sequence[Root],
    before: Written | None = None,
    own: Collection[uuid.UUID | None] | None = None,
) -> None:
    """Mark what was written, since `before` and in `own` runs, if told, by those who had not heard of the retraction.

    Whoever wrote meanwhile may have heard of it and yet not seen a mark that is only made here, so it is done when
    there is none left to make: of these writers, and of those that another command waits for. If that takes long it is
    left for `renew_marks`. Commits.
    """
    until = time.monotonic() + LONG_S
    this, done = Retraction.id == retraction, False
    while not done and time.monotonic() < until:
        barrier = _wait_for_writers(session, retraction)
        written = _written(session)
        within = None if before is None else [id for id in written if written[id] != before.get(id)]
        if within is not None and own is not None:
            within = [id for id in within if id in own]
        if _mark_more(session, retraction, roots, within):
            session.execute(update(Retraction).where(this).values(barrier=None))
        elif barrier:
            whole = update(Retraction).where(this, Retraction.barrier == barrier).values(marked_at=func.now())
            done = session.execute(whole.returning(Retraction.id)).first() is not None
        session.commit()
        if not barrier:
            return
        before = written


def _mark_more(session: Session, retraction: int, roots: Sequence[Root], within: Sequence[uuid.UUID] | None) -> int:
    """Mark what came of the roots, in some runs or in all; how many marks are new or at another distance."""
    if within is not None and not within:
        return 0
    trace(session, roots, within=within)
    made = session.execute(text(_MARK_MORE), {"retraction": retraction})
    return int(made.rowcount)  # type: ignore[attr-defined]  # a statement that writes has it


def _wait_for_writers(session: Session, retraction: int) -> int | None:
    """Wait until every transaction that may not have seen a mark has ended: all below a number, which is returned.

    None if some patience was in vain. As long as no mark is made the number stands, whoever waits.
    """
    # Its own number is above that of any under way: a snapshot's xmax is above the last one that has ended, no more.
    own = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    oldest = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
    barrier = session.execute(
        text(
            f"UPDATE retractions SET barrier = coalesce(barrier, {own}) WHERE id = :id RETURNING barrier"  # noqa: S608 - our words
        ),
        {"id": retraction},
    ).scalar_one()
    session.commit()
    until = time.monotonic() + SETTLE_S
    while session.execute(text(f"SELECT {oldest} < :barrier"), {"barrier": barrier}).scalar_one():
        session.rollback()
        if time.monotonic() > until:
            return None
        time.sleep(LOOK_S)
    session.rollback()
    return int(barrier)
