"""Work items: planned, claimed by a lease, given back, ended.

Only the holder of a lease's token may end a piece of work, and only the reconciler takes a lease
away, by the database's clock; so a result is written once, whoever else believed to hold it.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import orjson
from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from shared.method.tasks import Stage, TaskType
from shared.store.arrays import any_of, uuid_array
from shared.store.driver import driver_sql
from shared.store.keys import key
from shared.store.session import seconds
from shared.store.tables.runs import GOING_ON, Run, RunState
from shared.store.tables.work import SUSPECT, TRIED, WorkItem, WorkState, in_state

_RUNNING = Run.state == RunState.RUNNING


def work_key(
    run_id: uuid.UUID, stage: Stage, task_type: TaskType, position: int, voice: str | None = None
) -> uuid.UUID:
    """The key of a piece of work: the same work has the same key, so it exists once."""
    return key("work", run_id, stage, task_type, position, voice or "")


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
    late: bool = False

    @property
    def id(self) -> uuid.UUID:
        """Its key."""
        return work_key(self.run_id, self.stage, self.task_type, self.position, self.voice)


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
    failures: int
    timeouts: int
    overloads: int
    crashes: int
    earlier_tries: int
    late: bool
    suspect: bool
    token: uuid.UUID

    @property
    def attempt(self) -> int:
        """How often it was tried before, for whatever reason in vain."""
        return self.failures + self.timeouts + self.overloads + self.crashes + self.earlier_tries

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


@dataclass(frozen=True, slots=True)
class Failure:
    """A piece of work that is given up, and which counter its last try raises, if there was one."""

    claim: Claim
    fault: str
    detail: str
    counter: str | None = None


_ADD = """
    INSERT INTO work_items
      (id, run_id, stage, task_type, queue, model, voice, position, instruction_id, instance_id, late)
    SELECT new.* FROM json_to_recordset(%(rows)s::json) AS new (
      id uuid, run_id uuid, stage text, task_type text, queue text, model text, voice text, position bigint,
      instruction_id uuid, instance_id uuid, late boolean
    )
    JOIN runs ON runs.id = new.run_id AND runs.state IN ('running', 'paused')
    ON CONFLICT DO NOTHING RETURNING work_items.id
"""
_COLUMNS = (
    *("id", "run_id", "stage", "task_type", "queue", "model", "voice", "position"),
    *("instruction_id", "instance_id", "late"),
)


def add_work(session: Session, work: Sequence[NewWork]) -> int:
    """Plan work; what is planned already stays as it is, and a run that has ended gets none.

    Returns how much is new.
    """
    if not work:
        return 0
    rows = [{column: getattr(item, column) for column in _COLUMNS} for item in work]
    return len(driver_sql(session, _ADD, rows=orjson.dumps(rows).decode()))


def claim(
    session: Session,
    run_id: uuid.UUID,
    queue: str,
    *,
    count: int,
    lease_s: float,
    worker: str,
    revision: int | None = None,
    suspect: bool = True,
    least_tried: bool = False,
) -> list[Claim]:
    """Take up to `count` pieces of work of a queue, the earliest (or `least_tried`) first, for `lease_s` seconds.

    Nothing is taken by whoever knows another `revision` of the run's job. At most one of them, and none unless
    `suspect`, may be what made its workers vanish before: what is held together is suspected together, so whoever
    holds one takes no other.
    """
    token = uuid.uuid4()
    rows = driver_sql(
        session,
        _CLAIM[revision is not None, least_tried],
        run_id=run_id,
        queue=queue,
        revision=revision,
        count=count,
        suspects=min(count, int(suspect)),
        token=token,
        lease_s=float(lease_s),
        worker=worker,
    )
    held = [_claim(row, token) for row in rows]
    held.sort(key=lambda each: (each.position, each.task_type))
    return held


def _to_claim(known_revision: bool, least_tried: bool) -> str:
    revision = "AND revision = %(revision)s" if known_revision else ""
    first_by = f"{TRIED}, " if least_tried else ""
    due = f"""
      SELECT id FROM work_items
      WHERE run_id = %(run_id)s AND queue = %(queue)s AND state = 'ready' AND ready_at <= now()
        AND EXISTS (SELECT FROM runs WHERE id = %(run_id)s AND state = 'running' {revision})"""  # noqa: S608 - our words
    in_order = f"ORDER BY {first_by}position, task_type"
    # Materialized, and so run once: run again, they would lock further rows.
    return f"""
      WITH suspected AS MATERIALIZED (
        {due} AND {SUSPECT} {in_order} LIMIT %(suspects)s FOR UPDATE SKIP LOCKED
      ), sound AS MATERIALIZED (
        {due} AND NOT ({SUSPECT}) {in_order}
        LIMIT %(count)s - (SELECT count(*) FROM suspected) FOR UPDATE SKIP LOCKED
      )
      UPDATE work_items SET
        state = 'leased', lease_token = %(token)s, lease_expires_at = now() + %(lease_s)s * interval '1 second',
        worker = %(worker)s
      WHERE id IN (SELECT id FROM sound UNION ALL SELECT id FROM suspected)
      RETURNING id, run_id, stage, task_type, position, model, voice, instruction_id, instance_id, failures, timeouts,
        overloads, crashes, earlier_tries, late, {SUSPECT}"""  # noqa: S608 - our words


_CLAIM = {known_and_least: _to_claim(*known_and_least) for known_and_least in product((False, True), repeat=2)}
_STAGES = {stage.value: stage for stage in Stage}
_TASK_TYPES = {task_type.value: task_type for task_type in TaskType}


def count_due(session: Session, run_id: uuid.UUID, queue: str, most: int) -> int:
    """How much work of a running run a queue holds that could be claimed now, counted up to `most`."""
    due = select(WorkItem.id).where(*_claimable(run_id), WorkItem.queue == queue).limit(most)
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0


def _claimable(run_id: uuid.UUID) -> tuple[ColumnElement[bool], ...]:
    running = select(Run.id).where(Run.id == run_id, _RUNNING).exists()
    return (
        WorkItem.run_id == run_id,
        in_state(WorkState.READY),
        WorkItem.ready_at <= func.now(),
        running,
    )


def _claim(row: Sequence[Any], token: uuid.UUID) -> Claim:
    values: tuple[Any, ...] = (*row[:2], _STAGES[row[2]], _TASK_TYPES[row[3]], *row[4:], token)
    return Claim(*values)


def finish(session: Session, claims: Collection[Claim]) -> set[uuid.UUID]:
    """End work as done; returns the ids whose lease was still the claim's, the only ones to write for."""
    return _end(session, claims, WorkState.DONE)


def fail(session: Session, failures: Sequence[Failure]) -> set[uuid.UUID]:
    """End work as failed; returns the ids that were still held."""
    held = _end(session, [each.claim for each in failures], WorkState.FAILED)
    for each in failures:
        if each.claim.id in held:
            counted = {each.counter: getattr(WorkItem, each.counter) + 1} if each.counter else {}
            values = {"fault": each.fault, "detail": each.detail, **counted}
            session.execute(update(WorkItem).where(WorkItem.id == each.claim.id).values(values))
    return held


def _end(session: Session, claims: Collection[Claim], state: WorkState) -> set[uuid.UUID]:
    if not claims:
        return set()
    ended = driver_sql(
        session,
        _END,
        ids=uuid_array(claim.id for claim in claims),
        tokens=uuid_array({claim.token for claim in claims}),
        state=state,
    )
    return {id for (id,) in ended}


_END = """
    WITH held AS MATERIALIZED (
      SELECT id FROM work_items
      WHERE id = ANY (%(ids)s::uuid[]) AND lease_token = ANY (%(tokens)s::uuid[]) AND state = 'leased'
      ORDER BY id FOR UPDATE
    )
    UPDATE work_items w SET state = %(state)s, finished_at = now(), lease_token = NULL, lease_expires_at = NULL
    FROM held WHERE w.id = held.id RETURNING w.id
"""


def _held(claims: Collection[Claim]) -> tuple[ColumnElement[bool], ...]:
    """The condition that a row is one of these and its lease still the claim's."""
    return (
        WorkItem.id == any_of(claim.id for claim in claims),
        WorkItem.lease_token == any_of({claim.token for claim in claims}),
        in_state(WorkState.LEASED),
    )


def postpone(session: Session, postponements: Sequence[Postponement]) -> set[uuid.UUID]:
    """Give work back to be tried later; returns the ids whose lease was still the claim's."""
    held: set[uuid.UUID] = set()
    if not postponements:
        return held
    # No end waits for this, or many calls that fail at once would keep it waiting: streams look again as they end.
    returned = _returned(session, [item.claim for item in postponements], shared=False)
    for item in sorted(postponements, key=lambda item: item.claim.id):
        counter = getattr(WorkItem, item.counter)
        given_back = session.execute(
            update(WorkItem)
            .where(WorkItem.id == item.claim.id, WorkItem.lease_token == item.claim.token)
            .values(
                {
                    counter: counter + 1,
                    **returned,
                    WorkItem.ready_at: func.now() + seconds(item.wait_s),
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


def give_back(session: Session, claims: Collection[Claim], *, tried: bool = False) -> None:
    """Return work that was not begun, or was `tried` and broken off; it can be claimed again at once."""
    returned = _returned(session, claims, shared=True)
    session.execute(
        update(WorkItem)
        .where(*_held(claims))
        .values(
            {
                **returned,
                WorkItem.lease_token: None,
                WorkItem.lease_expires_at: None,
                WorkItem.earlier_tries: WorkItem.earlier_tries + int(tried),
            }
        )
        .execution_options(synchronize_session=False)
    )


def _returned(session: Session, claims: Collection[Claim], *, shared: bool) -> dict[Any, Any]:
    """What becomes of work that comes back: it is ready, or dropped if its run has ended.

    Nobody resumes such a run until the transaction ends, nor ends one if the lock is `shared`: what comes back in the
    middle of an end would be ready in a run that has ended.
    """
    of_these = select(Run.id, Run.state).where(Run.id == any_of({each.run_id for each in claims})).order_by(Run.id)
    runs = session.execute(of_these.with_for_update(read=True, key_share=not shared)).all()
    waits = WorkItem.run_id == any_of(id for id, state in runs if state in GOING_ON)
    return {
        WorkItem.state: case((waits, WorkState.READY), else_=WorkState.DROPPED),
        WorkItem.finished_at: case((waits, None), else_=func.now()),
    }
