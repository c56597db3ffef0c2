"""Work items: planned, claimed by a lease, given back, ended.

Only the holder of a lease's token may end a piece of work, and only the reconciler takes a lease
away, by the database's clock; so a result is written once, whoever else believed to hold it.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Interval, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.method.tasks import Stage, TaskType
from shared.store.keys import key
from shared.store.locks import lock
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkItem, WorkState

_RUNNING = Run.state == RunState.RUNNING


@dataclass(frozen=True, slots=True)
class NewWork:
    """A piece of work to be done."""

    run_id: uuid.UUID
    stage: Stage
    task_type: TaskType
    queue: str
    position: int
    model: str | None = None
    voice: str | None = None
    instruction_id: uuid.UUID | None = None
    instance_id: uuid.UUID | None = None

    @property
    def id(self) -> uuid.UUID:
        """The same work has the same key, so it exists once."""
        return key("work", self.run_id, self.stage, self.task_type, self.position, self.voice or "")


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work that a worker holds until its lease ends."""

    id: uuid.UUID
    run_id: uuid.UUID
    stage: Stage
    task_type: TaskType
    position: int
    model: str | None
    voice: str | None
    instruction_id: uuid.UUID | None
    instance_id: uuid.UUID | None
    attempt: int
    failures: int
    timeouts: int
    overloads: int
    crashes: int
    token: uuid.UUID

    @property
    def subject(self) -> uuid.UUID:
        """The instruction or instance that the work is for; a proposal has none."""
        found = self.instruction_id or self.instance_id
        if found is None:
            raise LookupError(f"work item {self.id} is for no instruction or instance")
        return found


@dataclass(frozen=True, slots=True)
class Postponement:
    """A piece of work to be tried again `wait_s` seconds from now, and which counter that raises."""

    claim: Claim
    fault: str
    detail: str
    counter: str
    wait_s: float


def add_work(session: Session, work: Sequence[NewWork]) -> None:
    """Plan work; what is planned already stays as it is, and a run that has ended gets none."""
    running = set(session.scalars(select(Run.id).where(Run.id.in_({item.run_id for item in work}), _RUNNING)))
    rows = [
        {
            "id": item.id,
            "run_id": item.run_id,
            "stage": item.stage,
            "task_type": item.task_type,
            "queue": item.queue,
            "model": item.model,
            "voice": item.voice,
            "position": item.position,
            "instruction_id": item.instruction_id,
            "instance_id": item.instance_id,
        }
        for item in work
        if item.run_id in running
    ]
    if rows:
        session.execute(insert(WorkItem).on_conflict_do_nothing(), rows)


@dataclass(frozen=True, slots=True)
class Window:
    """How many calls of a model all workers together may have under way in a run.

    Work in `later` queues, stages nearer to the end, goes first when the window is nearly full.
    """

    model: str
    size: int
    later: tuple[str, ...] = ()


def claim(
    session: Session,
    run_id: uuid.UUID,
    queue: str,
    *,
    count: int,
    lease_s: float,
    worker: str,
    window: Window | None = None,
) -> list[Claim]:
    """Take up to `count` pieces of work of a queue, the earliest first, for `lease_s` seconds."""
    if window:
        lock(session, "claim", run_id, window.model)
        count = min(count, _room(session, run_id, window))
    if count <= 0:
        return []
    ready = (
        select(WorkItem.id)
        .where(*_claimable(run_id), WorkItem.queue == queue)
        .order_by(WorkItem.position, WorkItem.task_type)
        .limit(count)
        .with_for_update(of=WorkItem, skip_locked=True)
        .cte("ready")
        .prefix_with("MATERIALIZED")  # run once: run again, it would lock further rows
    )
    rows = session.scalars(
        update(WorkItem)
        .where(WorkItem.id.in_(select(ready.c.id)))
        .values(
            state=WorkState.LEASED,
            lease_token=uuid.uuid4(),
            lease_expires_at=func.now() + _seconds(lease_s),
            worker=worker,
        )
        .returning(WorkItem)
        .execution_options(synchronize_session=False)
    )
    return sorted((_claim(row) for row in rows), key=lambda held: (held.position, held.task_type))


def any_due(session: Session, run_id: uuid.UUID, queue: str) -> bool:
    """Whether a queue of a running run holds work that could be claimed now."""
    due = select(WorkItem.id).where(*_claimable(run_id), WorkItem.queue == queue).limit(1)
    return session.scalar(due) is not None


def _claimable(run_id: uuid.UUID) -> tuple[ColumnElement[bool], ...]:
    running = select(Run.id).where(Run.id == run_id, _RUNNING).exists()
    return (
        WorkItem.run_id == run_id,
        WorkItem.state == WorkState.READY,
        WorkItem.ready_at <= func.now(),
        running,
    )


def _room(session: Session, run_id: uuid.UUID, window: Window) -> int:
    of_model = (WorkItem.run_id == run_id, WorkItem.model == window.model)
    held = select(func.count()).where(*of_model, WorkItem.state == WorkState.LEASED)
    room = window.size - (session.scalar(held) or 0)
    if room <= 0 or not window.later:
        return room
    first = select(WorkItem.id).where(*_claimable(run_id), *of_model, WorkItem.queue.in_(window.later))
    return room - (session.scalar(select(func.count()).select_from(first.limit(room).subquery())) or 0)


def _claim(row: WorkItem) -> Claim:
    if row.lease_token is None:
        raise RuntimeError(f"work item {row.id} was claimed without a token")
    return Claim(
        id=row.id,
        run_id=row.run_id,
        stage=Stage(row.stage),
        task_type=TaskType(row.task_type),
        position=row.position,
        model=row.model,
        voice=row.voice,
        instruction_id=row.instruction_id,
        instance_id=row.instance_id,
        attempt=row.failures + row.timeouts + row.overloads + row.crashes,
        failures=row.failures,
        timeouts=row.timeouts,
        overloads=row.overloads,
        crashes=row.crashes,
        token=row.lease_token,
    )


def _seconds(seconds: float) -> ColumnElement[object]:
    return cast(f"{seconds} seconds", Interval)


def finish(session: Session, claims: Collection[Claim]) -> set[uuid.UUID]:
    """End work as done; returns the ids whose lease was still the claim's, the only ones to write for."""
    return _end(session, claims, WorkState.DONE)


def fail(session: Session, failures: Sequence[tuple[Claim, str, str]]) -> set[uuid.UUID]:
    """End work as failed, each with its fault and detail; returns the ids that were still held."""
    held = _end(session, [claim for claim, _, _ in failures], WorkState.FAILED)
    for claim, fault, detail in failures:
        if claim.id in held:
            session.execute(update(WorkItem).where(WorkItem.id == claim.id).values(fault=fault, detail=detail))
    return held


def _end(session: Session, claims: Collection[Claim], state: WorkState) -> set[uuid.UUID]:
    if not claims:
        return set()
    tokens = {held.token for held in claims}
    ordered = (
        select(WorkItem.id)
        .where(
            WorkItem.id.in_([held.id for held in claims]),
            WorkItem.lease_token.in_(tokens),
            WorkItem.state == WorkState.LEASED,
        )
        .order_by(WorkItem.id)
        .with_for_update()
    )
    still_held = session.scalars(ordered).all()
    session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(still_held))
        .values(state=state, finished_at=func.now(), lease_token=None, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    return set(still_held)


def postpone(session: Session, postponements: Sequence[Postponement]) -> set[uuid.UUID]:
    """Give work back to be tried later; returns the ids whose lease was still the claim's."""
    held: set[uuid.UUID] = set()
    for item in sorted(postponements, key=lambda item: item.claim.id):
        counter = getattr(WorkItem, item.counter)
        given_back = session.execute(
            update(WorkItem)
            .where(WorkItem.id == item.claim.id, WorkItem.lease_token == item.claim.token)
            .values(
                {
                    counter: counter + 1,
                    WorkItem.state: WorkState.READY,
                    WorkItem.ready_at: func.now() + _seconds(item.wait_s),
                    WorkItem.lease_token: None,
                    WorkItem.lease_expires_at: None,
                    WorkItem.fault: item.fault,
                    WorkItem.detail: item.detail,
                }
            )
            .returning(WorkItem.id)
        )
        held.update(given_back.scalars())
    return held


def give_back(session: Session, claims: Collection[Claim]) -> None:
    """Return work that was not begun; it can be claimed again at once."""
    session.execute(
        update(WorkItem)
        .where(
            WorkItem.id.in_([held.id for held in claims]),
            WorkItem.lease_token.in_({held.token for held in claims}),
            WorkItem.state == WorkState.LEASED,
        )
        .values(state=WorkState.READY, lease_token=None, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )


def expire_leases(session: Session) -> int:
    """Take back leases that ran out, since their worker is gone, and count the crash. Returns how many.

    One whose result is being written at this moment is passed over.
    """
    ran_out = (
        select(WorkItem.id)
        .where(WorkItem.state == WorkState.LEASED, WorkItem.lease_expires_at < func.now())
        .with_for_update(skip_locked=True)
    )
    result = session.execute(
        update(WorkItem)
        .where(WorkItem.id.in_(ran_out.scalar_subquery()))
        .values(
            crashes=WorkItem.crashes + 1,
            state=WorkState.READY,
            ready_at=func.now(),
            lease_token=None,
            lease_expires_at=None,
        )
        .returning(WorkItem.id)
        .execution_options(synchronize_session=False)
    )
    return len(result.all())


def drop_ready_work(session: Session, run_id: uuid.UUID, *conditions: ColumnElement[bool]) -> None:
    """End the work of a run that nobody has begun and nobody needs."""
    session.execute(
        update(WorkItem)
        .where(WorkItem.run_id == run_id, WorkItem.state == WorkState.READY, *conditions)
        .values(state=WorkState.DROPPED, finished_at=func.now())
        .execution_options(synchronize_session=False)
    )


def drop_stragglers(session: Session) -> None:
    """End the work that came back or was added just as its run ended."""
    session.execute(
        update(WorkItem)
        .where(WorkItem.state == WorkState.READY, WorkItem.run_id.in_(select(Run.id).where(~_RUNNING)))
        .values(state=WorkState.DROPPED, finished_at=func.now())
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class DueWork:
    """A queue of a run in which work is due."""

    run_id: uuid.UUID
    queue: str


def due_queues(session: Session) -> list[DueWork]:
    """The queues, by run, that hold work which could be claimed now."""
    rows = session.execute(
        select(WorkItem.run_id, WorkItem.queue)
        .join(Run, Run.id == WorkItem.run_id)
        .where(WorkItem.state == WorkState.READY, WorkItem.ready_at <= func.now(), _RUNNING)
        .distinct()
    )
    return [DueWork(*row) for row in rows]
