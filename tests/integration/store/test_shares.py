"""Workers that share a model's window never have more calls under way than it allows."""

import uuid

import pytest
from sqlalchemy import text, update

from shared.store.session import Sessions
from shared.store.shares import Share, release, renew
from shared.store.tables.work import ModelShare
from tests.integration.store.planted import plant_run


@pytest.fixture
def run_id(sessions: Sessions) -> uuid.UUID:
    """A run without work."""
    return plant_run(sessions)


def ask(
    sessions: Sessions, run_id: uuid.UUID, worker: str, wanted: int = 9, holding: int = 0, *, size: int = 4
) -> Share:
    with sessions.begin() as session:
        return renew(session, run_id, "base", size, worker=worker, wanted=[wanted, 0, 0], holding=holding)


def test_one_worker_gets_the_whole_window(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert ask(sessions, run_id, "a") == Share(4, alone=True)


def test_a_worker_gets_no_more_than_it_wants(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert ask(sessions, run_id, "a", wanted=1).slots == 1
    assert ask(sessions, run_id, "b").slots == 3


def test_a_newcomer_waits_until_the_other_has_given_way(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a")
    assert ask(sessions, run_id, "b") == Share(0, alone=False)
    assert ask(sessions, run_id, "a", holding=4).slots == 2  # it sends no more, but four calls are under way
    assert ask(sessions, run_id, "b").slots == 0
    assert ask(sessions, run_id, "a", holding=3).slots == 2
    assert ask(sessions, run_id, "b").slots == 1
    assert ask(sessions, run_id, "a", holding=2).slots == 2
    assert ask(sessions, run_id, "b", holding=1).slots == 2


def test_a_little_more_than_is_fair_is_not_passed_on(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a", wanted=9, size=16)
    assert ask(sessions, run_id, "b", wanted=16, size=16).slots == 7
    assert ask(sessions, run_id, "a", wanted=16, holding=9, size=16).slots == 9
    assert ask(sessions, run_id, "b", wanted=16, holding=7, size=16).slots == 7


def test_what_a_worker_has_no_use_for_is_passed_on(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a", wanted=9, size=16)
    ask(sessions, run_id, "b", wanted=16, size=16)
    assert ask(sessions, run_id, "a", wanted=7, holding=9, size=16).slots == 7


def test_one_that_has_less_than_half_of_what_is_fair_is_given_way_to(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a", wanted=10, size=16)
    assert ask(sessions, run_id, "b", wanted=3, size=16).slots == 3
    ask(sessions, run_id, "b", wanted=16, holding=3, size=16)
    ask(sessions, run_id, "c", wanted=16, size=16)
    assert ask(sessions, run_id, "a", wanted=16, holding=7, size=16).slots == 5


def test_a_worker_that_could_not_renew_for_a_while_waits_for_the_others_to_come_back(
    sessions: Sessions, run_id: uuid.UUID
) -> None:
    ask(sessions, run_id, "a", wanted=2)
    ask(sessions, run_id, "b", wanted=2)
    with sessions.begin() as session:
        session.execute(update(ModelShare).values(expires_at=text("now() - interval '1 second'")))
    with sessions.begin() as session:
        back = renew(session, run_id, "base", 4, worker="a", wanted=[9, 0, 0], holding=2, may_grow=False)
    assert back.slots == 2
    assert ask(sessions, run_id, "b", holding=2).slots == 2
    assert ask(sessions, run_id, "a", holding=2).slots == 2


def test_another_models_or_runs_share_takes_no_room(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, plant_run(sessions, "another"), "a")
    with sessions.begin() as session:
        renew(session, run_id, "chat", 4, worker="a", wanted=[9, 0, 0], holding=0)
    assert ask(sessions, run_id, "b") == Share(4, alone=True)


def test_what_is_given_back_goes_to_others(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a")
    with sessions.begin() as session:
        release(session, run_id, "base", "a")
    assert ask(sessions, run_id, "b") == Share(4, alone=True)


def test_a_share_that_is_not_renewed_goes_to_others(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "vanished")
    with sessions.begin() as session:
        session.execute(update(ModelShare).values(expires_at=text("now() - interval '1 second'")))
    assert ask(sessions, run_id, "b") == Share(4, alone=True)
