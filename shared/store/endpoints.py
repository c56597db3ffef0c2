"""How a run's servers are: told by each worker, put together for people and for the reconciler."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, null, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.lm.health import CircuitState, EndpointHealth
from shared.store.session import seconds
from shared.store.tables.endpoints import EndpointState

RECENT = timedelta(seconds=60)  # who tells nothing for so long has vanished, or sends no calls
KEPT_S = 86_400.0  # for how long what vanished workers told is kept
KEY = ("run_id", "model", "endpoint", "worker")


@dataclass(frozen=True, slots=True)
class FailingModel:
    """A model of which no worker got an answer since `since`; the latest call to fail did so at `latest`."""

    since: datetime
    latest: datetime
    fault: str
    detail: str


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A server as `workers` workers last saw it; for `shut_out` of them it is away, for the first of them `since`.

    Who has not called it since then does not count.

    `limit` calls are sent to it at once, all together. What was not told a moment ago is not `recent`.
    """

    model: str
    endpoint: str
    state: CircuitState
    since: datetime
    limit: int
    ceiling: int
    in_flight: int
    workers: int
    shut_out: int
    failing_since: datetime | None
    answered_at: datetime | None
    fault: str | None
    detail: str | None
    updated_at: datetime
    recent: bool

    @property
    def fine(self) -> bool:
        """Whether all calls that the job allows may be sent to it."""
        return self.state is CircuitState.CLOSED and self.limit == self.ceiling


def report(session: Session, run_id: uuid.UUID, model: str, worker: str, health: Sequence[EndpointHealth]) -> None:
    """Tell how some of a model's servers are, by the database's clock."""
    if health:
        told = insert(EndpointState).values([_row(run_id, model, worker, each) for each in health])
        news = {column.name: column for column in told.excluded if column.name not in KEY}
        session.execute(told.on_conflict_do_update(index_elements=KEY, set_=news))


def _row(run_id: uuid.UUID, model: str, worker: str, health: EndpointHealth) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "model": model,
        "endpoint": health.endpoint,
        "worker": worker,
        "state": health.state,
        "call_limit": health.limit,
        "ceiling": health.ceiling,
        "in_flight": health.in_flight,
        "since": _ago(health.since_s),
        "failing_since": _ago(health.failing_s),
        "failed_at": _ago(health.failed_s),
        "answered_at": _ago(health.answered_s),
        "fault": health.fault,
        "detail": health.detail,
        "updated_at": func.now(),
    }


def _ago(age_s: float | None) -> ColumnElement[Any]:
    return null() if age_s is None else func.now() - seconds(age_s)


def forget_old(session: Session) -> None:
    """Remove what vanished workers told long ago."""
    session.execute(delete(EndpointState).where(EndpointState.updated_at < func.now() - seconds(KEPT_S)))


def endpoint_views(session: Session, run_id: uuid.UUID) -> list[EndpointView]:
    """Every server of a run that was ever called, by model."""
    now, rows = _told(session, run_id)
    by_endpoint: dict[tuple[str, str], list[EndpointState]] = defaultdict(list)
    for row in rows:
        by_endpoint[row.model, row.endpoint].append(row)
    return [_view(now, by_endpoint[key]) for key in sorted(by_endpoint)]


def failing_models(session: Session, run_id: uuid.UUID) -> Mapping[str, FailingModel]:
    """The run's models of which no call is answered, whichever server it goes to and whichever worker sends it."""
    now, rows = _told(session, run_id)
    by_model: dict[str, list[EndpointState]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    failing = {model: _failing(now, of_model) for model, of_model in by_model.items()}
    return {model: found for model, found in failing.items() if found}


def _told(session: Session, run_id: uuid.UUID) -> tuple[datetime, Sequence[EndpointState]]:
    of_run = select(EndpointState).where(EndpointState.run_id == run_id).order_by(EndpointState.updated_at)
    rows = session.scalars(of_run.execution_options(populate_existing=True)).all()
    return session.scalars(select(func.now())).one(), rows


def _view(now: datetime, rows: Sequence[EndpointState]) -> EndpointView:
    latest = rows[-1]
    live = [row for row in rows if row.updated_at > latest.updated_at - RECENT]
    shut_out = [row for row in live if row.state != CircuitState.CLOSED]
    shown = min(shut_out or live, key=lambda row: row.since)
    told = max(shut_out or live, key=lambda row: (row.failed_at is not None, row.failed_at or row.updated_at))
    since_then = [row for row in live if row in shut_out or (row.answered_at and row.answered_at >= shown.since)]
    failing = [row.failing_since for row in live if row.failing_since]
    answered = [row.answered_at for row in rows if row.answered_at]
    return EndpointView(
        model=latest.model,
        endpoint=latest.endpoint,
        state=CircuitState(shown.state),
        since=shown.since,
        limit=min(latest.ceiling, sum(row.call_limit for row in live)),
        ceiling=latest.ceiling,
        in_flight=sum(row.in_flight for row in live),
        workers=len(since_then if shut_out else live),
        shut_out=len(shut_out),
        failing_since=min(failing, default=None),
        answered_at=max(answered, default=None),
        fault=told.fault,
        detail=told.detail,
        updated_at=latest.updated_at,
        recent=latest.updated_at > now - RECENT,
    )


def _failing(now: datetime, rows: Sequence[EndpointState]) -> FailingModel | None:
    """A worker that has called no server says nothing; one that has vanished is still believed.

    So failures are joined backwards from now, each worker's to those that ended shortly before they began, and the
    latest answer to anybody ends them.
    """
    fails = [row for row in rows if row.failing_since]
    recent = [row for row in rows if row.updated_at > now - RECENT]
    if any(row.answered_at and not row.failing_since for row in recent) or not any(row in recent for row in fails):
        return None
    since = now
    for row in reversed(fails):  # in the order of their ends
        if row.failing_since and row.updated_at > since - RECENT:
            since = min(since, row.failing_since)
    latest = max(fails, key=lambda row: row.failed_at or row.updated_at)
    return FailingModel(
        since=max([since, *(row.answered_at for row in rows if row.answered_at)]),
        latest=latest.failed_at or latest.updated_at,
        fault=latest.fault or "",
        detail=latest.detail or "",
    )
