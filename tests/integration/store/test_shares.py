"""Workers and runs that share a model's window never have more calls under way than it allows."""

import time
import uuid

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.job import ModelSpec
from shared.store import shares
from shared.store.keys import pool_key
from shared.store.session import Sessions
from shared.store.shares import Holder, Share, release, renew
from shared.store.tables.work import ModelShare
from tests.integration.store.planted import plant_run

POOL = pool_key(["http://lm"], "a model")


@pytest.fixture
def run_id(sessions: Sessions) -> uuid.UUID:
    """A run without work."""
    return plant_run(sessions)


def ask(
    sessions: Sessions,
    run_id: uuid.UUID,
    worker: str,
    wanted: int = 9,
    holding: int = 0,
    *,
    size: int = 4,
    share: int | None = None,
) -> Share:
    return ask_for(sessions, Holder(run_id, "base", worker, POOL, size), wanted, holding, share)


def ask_for(sessions: Sessions, holder: Holder, wanted: int = 99, holding: int = 0, share: int | None = None) -> Share:
    """Renew; a worker whose calls have ended as they should has as many under way as its share is."""
    before = holding if share is None else share
    with sessions.begin() as session:
        return renew(session, holder, wanted=[wanted, 0, 0], share=before, holding=holding)


def test_one_worker_gets_the_whole_window(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert ask(sessions, run_id, "a") == Share(4, alone=True)


def test_a_worker_gets_no_more_than_it_wants(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert ask(sessions, run_id, "a", wanted=1).slots == 1
    assert ask(sessions, run_id, "b").slots == 3


def test_a_newcomer_waits_until_the_other_has_given_way(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a")
    assert ask(sessions, run_id, "b") == Share(0, alone=False)
    assert ask(sessions, run_id, "a", holding=4).slots == 3  # it sends no more, but four calls are under way
    assert ask(sessions, run_id, "b").slots == 0
    assert ask(sessions, run_id, "a", share=3, holding=4).slots == 2
    assert ask(sessions, run_id, "b").slots == 0
    assert ask(sessions, run_id, "a", share=2, holding=3).slots == 2
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
    assert ask(sessions, run_id, "a", wanted=16, holding=7, size=16).slots == 6
    assert ask(sessions, run_id, "a", wanted=16, holding=6, size=16).slots == 5
    assert ask(sessions, run_id, "a", wanted=16, holding=5, size=16).slots == 5


def expire(sessions: Sessions, *workers: str) -> None:
    """As if these workers had not renewed for long."""
    with sessions.begin() as session:
        shares_of = update(ModelShare).where(ModelShare.worker.in_(workers))
        session.execute(shares_of.values(expires_at=text("now() - interval '1 second'")))


def come_back(sessions: Sessions, run_id: uuid.UUID, worker: str, holding: int) -> Share:
    """Renew a share that ran out."""
    with sessions.begin() as session:
        holder = Holder(run_id, "base", worker, POOL, 4)
        return renew(session, holder, wanted=[9, 0, 0], share=holding, holding=holding, may_grow=False)


def test_a_worker_that_could_not_renew_for_a_while_waits_for_the_others_to_come_back(
    sessions: Sessions, run_id: uuid.UUID
) -> None:
    ask(sessions, run_id, "a", wanted=2)
    ask(sessions, run_id, "b", wanted=2)
    expire(sessions, "a", "b")
    assert come_back(sessions, run_id, "a", holding=2).slots == 2
    assert ask(sessions, run_id, "b", holding=2).slots == 2
    assert ask(sessions, run_id, "a", holding=2).slots == 2


def test_a_worker_whose_share_went_to_another_meanwhile_sends_nothing_until_that_one_has_given_way(
    sessions: Sessions, run_id: uuid.UUID
) -> None:
    ask(sessions, run_id, "a", wanted=2)
    ask(sessions, run_id, "b", wanted=2)
    expire(sessions, "a")
    assert ask(sessions, run_id, "b", holding=2).slots == 4
    assert come_back(sessions, run_id, "a", holding=2).slots == 0
    assert ask(sessions, run_id, "b", holding=4).slots == 2
    assert ask(sessions, run_id, "a").slots == 0
    assert ask(sessions, run_id, "b", holding=2).slots == 2
    assert ask(sessions, run_id, "a").slots == 2


def test_what_is_sent_to_other_servers_takes_no_room(sessions: Sessions, run_id: uuid.UUID) -> None:
    elsewhere = pool_key(["http://elsewhere"], None)
    for run, model in [(plant_run(sessions, "another"), "base"), (run_id, "chat")]:
        ask_for(sessions, Holder(run, model, "a", elsewhere, 4))
    assert ask(sessions, run_id, "b") == Share(4, alone=True)


def test_what_is_given_back_goes_to_others(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "a")
    with sessions.begin() as session:
        release(session, Holder(run_id, "base", "a", POOL, 4))
    assert ask(sessions, run_id, "b") == Share(4, alone=True)


def test_a_share_that_is_not_renewed_goes_to_others(sessions: Sessions, run_id: uuid.UUID) -> None:
    ask(sessions, run_id, "vanished")
    expire(sessions, "vanished")
    assert ask(sessions, run_id, "b") == Share(4, alone=True)


@pytest.fixture
def other_run(sessions: Sessions) -> uuid.UUID:
    """Another run without work."""
    return plant_run(sessions, "other")


def settle(sessions: Sessions, wanted: dict[Holder, int]) -> dict[Holder, int]:
    """What each comes to have when all renew time and again, and their calls end between."""
    slots = dict.fromkeys(wanted, 0)
    for _ in range(16):
        for holder, count in wanted.items():
            slots[holder] = ask_for(sessions, holder, count, slots[holder]).slots
    return slots


def test_runs_share_a_window_by_weight_and_each_its_part_among_its_workers(
    sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID
) -> None:
    heavy = [Holder(run_id, "base", worker, POOL, 16, 3) for worker in "ab"]
    light = Holder(other_run, "writer", "a", POOL, 16, 1)
    assert list(settle(sessions, dict.fromkeys([*heavy, light], 99)).values()) == [6, 6, 4]


def test_a_run_gives_way_only_as_its_calls_end(sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID) -> None:
    first, second = (Holder(run, "base", "a", POOL, 8) for run in (run_id, other_run))
    assert ask_for(sessions, first).slots == 8
    assert ask_for(sessions, second) == Share(0, alone=False)
    assert ask_for(sessions, first, holding=8).slots == 4
    assert ask_for(sessions, first, holding=6).slots == 4
    assert ask_for(sessions, second).slots == 2
    assert ask_for(sessions, first, holding=4).slots == 4
    assert ask_for(sessions, second, holding=2).slots == 4


def test_what_a_run_has_no_use_for_is_the_others(sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID) -> None:
    modest, hungry = Holder(run_id, "base", "a", POOL, 16, 9), Holder(other_run, "base", "a", POOL, 16)
    assert settle(sessions, {modest: 2, hungry: 99}) == {modest: 2, hungry: 14}
    assert settle(sessions, {modest: 99, hungry: 99}) == {modest: 14, hungry: 2}


def test_a_run_has_no_more_than_its_own_limit_and_the_pool_what_the_largest_allows(
    sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID
) -> None:
    small, large = Holder(run_id, "base", "a", POOL, 4, 9), Holder(other_run, "base", "a", POOL, 16)
    assert settle(sessions, {small: 99, large: 99}) == {small: 4, large: 12}


def test_two_models_of_a_run_that_are_the_same_share_its_part(
    sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID
) -> None:
    of_one = [Holder(run_id, model, "a", POOL, 8) for model in ("base", "chat")]
    other = Holder(other_run, "base", "a", POOL, 8)
    assert list(settle(sessions, dict.fromkeys([*of_one, other], 99)).values()) == [2, 2, 4]


def test_a_run_that_wants_nothing_more_keeps_room_for_its_calls_under_way(
    sessions: Sessions, run_id: uuid.UUID, other_run: uuid.UUID
) -> None:
    paused, other = (Holder(run, "base", "a", POOL, 8) for run in (run_id, other_run))
    ask_for(sessions, paused)
    assert ask_for(sessions, paused, wanted=0, holding=5).slots == 0
    assert ask_for(sessions, other).slots == 3


def test_a_worker_that_stands_still_while_it_agrees_keeps_the_others_waiting_for_seconds(
    sessions: Sessions, run_id: uuid.UUID
) -> None:
    with sessions() as standing_still:
        renew(standing_still, Holder(run_id, "base", "a", POOL, 4), wanted=[9, 0, 0], share=0, holding=0)
        with pytest.raises(OperationalError, match="lock timeout"):
            ask(sessions, run_id, "b")
        time.sleep(shares.STANDSTILL_S)
        assert ask(sessions, run_id, "b") == Share(4, alone=True)
        with pytest.raises(DBAPIError, match="idle-in-transaction timeout"):
            standing_still.commit()


def test_a_pool_is_known_by_its_servers_in_any_order_and_by_what_they_serve() -> None:
    def pool(endpoints: list[str], model: str | None = None) -> uuid.UUID:
        content = {"protocol": "tgi", "kind": "vanilla", "endpoints": endpoints, "model": model}
        spec = ModelSpec.model_validate(content)
        return pool_key(spec.urls, spec.model)

    both = pool(["http://a:80", "http://b:8080/v1"])
    assert both == pool(["http://B:8080/v1/", "http://a/", "http://a"])
    assert len({both, pool(["http://a"]), pool(["http://a"], "llama"), pool(["http://b:8080/v1"])}) == 4
