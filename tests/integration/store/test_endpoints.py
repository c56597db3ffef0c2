"""What workers tell of servers: put together, and used to decide that a model is gone."""

import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from shared.lm.errors import Fault
from shared.lm.health import CircuitState, EndpointHealth
from shared.store.endpoints import EndpointView, FailingModel, endpoint_views, failing_models, forget_old, report
from shared.store.session import Sessions
from shared.store.tables.endpoints import EndpointState
from tests.integration.store.planted import plant_run

ONE, TWO = "http://one", "http://two"


@pytest.fixture
def run_id(sessions: Sessions) -> uuid.UUID:
    """A run without work."""
    return plant_run(sessions)


def health(endpoint: str = ONE, *, failing_s: float | None = None, answered_s: float | None = None) -> EndpointHealth:
    """A server that has been failing for so long, or answered so long ago, or was not called."""
    fails = failing_s is not None
    return EndpointHealth(
        endpoint=endpoint,
        state=CircuitState.OPEN if fails else CircuitState.CLOSED,
        limit=4,
        ceiling=8,
        in_flight=1,
        since_s=failing_s or 0.0,
        failing_s=failing_s,
        failed_s=0.0 if fails else None,
        answered_s=answered_s,
        fault=Fault.UNREACHABLE if fails else None,
        detail="nobody there" if fails else None,
    )


def tell(sessions: Sessions, run_id: uuid.UUID, worker: str, *told: EndpointHealth, ago_s: float = 0) -> None:
    """What a worker told so long ago."""
    with sessions.begin() as session:
        report(session, run_id, "base", worker, told)
        if ago_s:
            moments = ("since", "failing_since", "failed_at", "answered_at", "updated_at")
            earlier = {name: getattr(EndpointState, name) - text(f"interval '{ago_s} seconds'") for name in moments}
            session.execute(update(EndpointState).where(EndpointState.worker == worker).values(earlier))


def failing(sessions: Sessions, run_id: uuid.UUID) -> FailingModel | None:
    with sessions() as session:
        return failing_models(session, run_id).get("base")


def failing_for(sessions: Sessions, run_id: uuid.UUID) -> timedelta:
    found = failing(sessions, run_id)
    assert found is not None
    return timedelta(seconds=round((now(sessions) - found.since).total_seconds(), -1))


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        return session.scalars(select(func.now())).one()


def view(sessions: Sessions, run_id: uuid.UUID) -> EndpointView:
    with sessions() as session:
        return endpoint_views(session, run_id)[0]


def test_a_model_is_failing_since_the_first_worker_said_so(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(ONE, failing_s=300), health(TWO, failing_s=200))
    tell(sessions, run_id, "b", health(ONE, failing_s=400))

    assert failing_for(sessions, run_id) == timedelta(seconds=400)
    found = failing(sessions, run_id)
    assert found is not None
    assert (found.fault, found.detail) == ("unreachable", "nobody there")
    assert found.latest > found.since


def test_a_model_is_not_failing_while_one_of_its_servers_answers(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(ONE, failing_s=300), health(TWO, answered_s=2))
    assert failing(sessions, run_id) is None


def test_a_model_is_not_failing_while_it_answers_another_worker(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(failing_s=300))
    tell(sessions, run_id, "b", health(answered_s=2))
    assert failing(sessions, run_id) is None


def test_a_worker_that_has_not_called_yet_says_nothing(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "fresh", health())
    assert failing(sessions, run_id) is None
    tell(sessions, run_id, "a", health(failing_s=300))
    assert failing_for(sessions, run_id) == timedelta(seconds=300)


def test_a_worker_that_takes_over_goes_on_where_the_last_one_vanished(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "first", health(failing_s=300), ago_s=700)
    tell(sessions, run_id, "second", health(failing_s=450), ago_s=200)
    tell(sessions, run_id, "third", health(failing_s=150))
    assert failing_for(sessions, run_id) == timedelta(seconds=1000)


def test_failures_long_before_do_not_count(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "first", health(failing_s=300), ago_s=700)
    tell(sessions, run_id, "second", health(failing_s=150))
    assert failing_for(sessions, run_id) == timedelta(seconds=150)


def test_an_answer_to_anybody_ends_what_failed_before(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(failing_s=300))
    tell(sessions, run_id, "vanished", health(answered_s=0), ago_s=100)
    assert failing_for(sessions, run_id) == timedelta(seconds=100)


def test_what_nobody_has_told_for_a_while_is_not_believed(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "vanished", health(failing_s=300), ago_s=100)
    assert failing(sessions, run_id) is None
    assert not view(sessions, run_id).recent


def test_another_runs_server_is_another_matter(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, plant_run(sessions, "another"), "a", health(failing_s=300))
    assert failing(sessions, run_id) is None


def test_workers_that_see_a_server_differently_are_counted(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(failing_s=30))
    tell(sessions, run_id, "b", health(answered_s=1))
    tell(sessions, run_id, "vanished", health(failing_s=30), ago_s=300)

    seen = view(sessions, run_id)
    assert (seen.state, seen.workers, seen.shut_out) == (CircuitState.OPEN, 2, 1)
    assert (seen.limit, seen.ceiling, seen.in_flight) == (8, 8, 2)
    assert (seen.fault, seen.detail, seen.recent) == ("unreachable", "nobody there", True)


def test_what_is_told_again_replaces_what_was_told(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(failing_s=30))
    tell(sessions, run_id, "a", health(answered_s=0))
    seen = view(sessions, run_id)
    assert (seen.state, seen.workers, seen.failing_since) == (CircuitState.CLOSED, 1, None)


def test_what_was_told_long_ago_is_forgotten(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "vanished", health(failing_s=300), ago_s=100_000)
    tell(sessions, run_id, "a", health(answered_s=0))
    with sessions.begin() as session:
        forget_old(session)
    assert view(sessions, run_id).workers == 1


def test_a_moment_ago_may_be_a_very_short_time_ago(sessions: Sessions, run_id: uuid.UUID) -> None:
    tell(sessions, run_id, "a", health(failing_s=1.4e-05, answered_s=2e-7))
    assert view(sessions, run_id).failing_since is not None
