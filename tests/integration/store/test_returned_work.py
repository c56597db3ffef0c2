"""Work that comes back from whoever held it: it waits, or its run has ended and nobody needs it."""

import threading
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from shared.store.session import Sessions
from shared.store.states import end_run, hold_run, pause_run, resume_run
from shared.store.sweeping import drop_stragglers
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkState
from shared.store.work import Postponement, give_back, postpone
from tests.integration.store.planted import end, item, plant_proposals, plant_run, take


@pytest.fixture
def run_id(sessions: Sessions) -> uuid.UUID:
    """A run with five proposals to be made."""
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 5)
    return run_id


def test_what_comes_back_to_an_ended_run_is_dropped(sessions: Sessions, run_id: uuid.UUID) -> None:
    unbegun, tried, failed = take(sessions, run_id, 3)
    end(sessions, run_id)
    with sessions.begin() as session:
        give_back(session, [unbegun])
        give_back(session, [tried], tried=True)
        assert postpone(session, [Postponement(failed, "overloaded", "no room", "overloads", 9)]) == {failed.id}
    found = [item(sessions, each.id) for each in (unbegun, tried, failed)]
    assert [each.state for each in found] == [WorkState.DROPPED] * 3
    assert all(each.finished_at for each in found)
    assert (found[1].earlier_tries, found[2].overloads) == (1, 1)


def test_what_comes_back_to_a_paused_run_waits(sessions: Sessions, run_id: uuid.UUID) -> None:
    unbegun, failed = take(sessions, run_id, 2)
    with sessions.begin() as session:
        pause_run(session, run_id, "enough for now")
        give_back(session, [unbegun])
        postpone(session, [Postponement(failed, "overloaded", "no room", "overloads", 9)])
    assert {item(sessions, each.id).state for each in (unbegun, failed)} == {WorkState.READY}


@pytest.mark.parametrize("ends_first", [True, False])
def test_what_comes_back_just_as_its_run_ends_is_dropped(
    sessions: Sessions, run_id: uuid.UUID, ends_first: bool
) -> None:
    claims = take(sessions, run_id, 2)

    def end_it(session: Session) -> None:
        end_run(session, run_id, RunState.CANCELLED, "enough")

    def return_them(session: Session) -> None:
        give_back(session, claims)

    _at_once(sessions, *((end_it, return_them) if ends_first else (return_them, end_it)))
    assert {item(sessions, each.id).state for each in claims} == {WorkState.DROPPED}


def test_what_is_to_be_tried_again_just_as_its_run_is_resumed_waits(sessions: Sessions, run_id: uuid.UUID) -> None:
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        end_run(session, run_id, RunState.SPENT, "the budget is spent")

    def go_on(session: Session) -> None:
        hold_run(session, run_id)
        resume_run(session, run_id)

    def try_later(session: Session) -> None:
        postpone(session, [Postponement(claimed, "overloaded", "no room", "overloads", 0)])

    _at_once(sessions, go_on, try_later)
    assert item(sessions, claimed.id).state == WorkState.READY


def test_a_straggler_of_a_run_that_is_just_resumed_is_not_dropped(sessions: Sessions, run_id: uuid.UUID) -> None:
    with sessions.begin() as session:
        session.execute(update(Run).values(state=RunState.SPENT))

    def go_on(session: Session) -> None:
        hold_run(session, run_id)
        resume_run(session, run_id)

    _at_once(sessions, go_on, drop_stragglers)
    assert len(take(sessions, run_id, 9)) == 5


def _at_once(sessions: Sessions, first: Callable[[Session], None], second: Callable[[Session], None]) -> None:
    """The second begins before the first has committed, and may have to wait for it."""

    def do_second() -> None:
        with sessions.begin() as session:
            second(session)

    thread = threading.Thread(target=do_second)
    with sessions.begin() as session:
        first(session)
        thread.start()
        thread.join(0.3)
    thread.join()
