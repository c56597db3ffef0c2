"""Work items: planned once, claimed by one, ended by whoever still holds the lease."""

import threading
import uuid

import pytest
from sqlalchemy import func, select, text, update

from shared.queue import names
from shared.store.keys import ordinal
from shared.store.session import Sessions
from shared.store.states import end_run
from shared.store.sweeping import DueWork, drop_stragglers, due_queues, expire_leases
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import (
    Claim,
    Failure,
    Postponement,
    add_work,
    claim,
    count_due,
    fail,
    finish,
    give_back,
    postpone,
)
from tests.integration.store.planted import (
    end,
    item,
    let_run_out,
    plant_proposals,
    plant_run,
    proposal,
    take,
    take_in,
)


@pytest.fixture
def run_id(sessions: Sessions) -> uuid.UUID:
    """A run with five proposals to be made."""
    run_id = plant_run(sessions)
    plant_proposals(sessions, run_id, 5)
    return run_id


def ordinals(claims: list[Claim]) -> list[int]:
    return [ordinal(each.position) for each in claims]


def test_the_same_work_planned_twice_exists_once(sessions: Sessions, run_id: uuid.UUID) -> None:
    plant_proposals(sessions, run_id, 5)
    with sessions() as session:
        assert session.scalar(select(func.count(WorkItem.id))) == 5


def test_work_planned_again_stays_as_far_as_it_is(sessions: Sessions, run_id: uuid.UUID) -> None:
    (claimed,) = take(sessions, run_id)
    plant_proposals(sessions, run_id, 1)
    assert item(sessions, claimed.id).state == WorkState.LEASED


def test_an_ended_run_gets_no_work(sessions: Sessions, run_id: uuid.UUID) -> None:
    end(sessions, run_id)
    plant_proposals(sessions, run_id, 9)
    with sessions() as session:
        assert session.scalar(select(func.count(WorkItem.id))) == 5


def test_the_earliest_is_claimed_first(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert ordinals(take(sessions, run_id, 2)) == [0, 1]
    assert ordinals(take(sessions, run_id, 2)) == [2, 3]


def test_what_is_claimed_is_claimed_by_nobody_else(sessions: Sessions, run_id: uuid.UUID) -> None:
    take(sessions, run_id, 5)
    assert take(sessions, run_id, 5) == []


def test_two_sessions_that_claim_at_once_share_the_work(sessions: Sessions, run_id: uuid.UUID) -> None:
    with sessions.begin() as one, sessions.begin() as other:
        first, second = take_in(one, run_id, 3), take_in(other, run_id, 3)
    assert (ordinals(first), ordinals(second)) == ([0, 1, 2], [3, 4])


def test_many_sessions_that_claim_at_once_never_claim_the_same(sessions: Sessions, run_id: uuid.UUID) -> None:
    plant_proposals(sessions, run_id, 60)
    claimed: list[uuid.UUID] = []

    def claim_all() -> None:
        while claims := take(sessions, run_id, 7):
            claimed.extend(each.id for each in claims)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 60


def test_nothing_is_claimed_from_another_queue(sessions: Sessions, run_id: uuid.UUID) -> None:
    assert take(sessions, run_id, 5, queue=names.INSTANCES) == []


def test_nothing_is_claimed_from_an_ended_run(sessions: Sessions, run_id: uuid.UUID) -> None:
    end(sessions, run_id)
    assert take(sessions, run_id, 5) == []


def test_nothing_is_claimed_before_it_is_due(sessions: Sessions, run_id: uuid.UUID) -> None:
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        postpone(session, [Postponement(claimed, "overloaded", "no room", "overloads", 3600)])
    assert ordinals(take(sessions, run_id, 9)) == [1, 2, 3, 4]


def test_no_more_is_claimed_than_asked_for_with_a_suspect_among_it(sessions: Sessions, run_id: uuid.UUID) -> None:
    with sessions.begin() as session:
        session.execute(update(WorkItem).where(WorkItem.position == 0).values(crashes=2))
    assert ordinals(take(sessions, run_id, 3)) == [0, 1, 2]
    assert ordinals(take(sessions, run_id, 3)) == [3, 4]


def test_who_knows_another_revision_of_the_job_claims_nothing(sessions: Sessions, run_id: uuid.UUID) -> None:
    with sessions.begin() as session:
        session.execute(update(Run).values(revision=7))
    assert take(sessions, run_id, 5, revision=6) == []
    assert len(take(sessions, run_id, 5, revision=7)) == 5


def test_a_proposal_that_an_ended_run_does_not_take_is_not_counted(sessions: Sessions, run_id: uuid.UUID) -> None:
    end(sessions, run_id)
    with sessions.begin() as session:
        assert add_work(session, [proposal(run_id, 99)]) == 0


@pytest.mark.parametrize("counter", ["failures", "timeouts", "overloads"])
def test_what_was_tried_least_is_claimed_first_when_asked_for(
    sessions: Sessions, run_id: uuid.UUID, counter: str
) -> None:
    for claimed in take(sessions, run_id, 2):
        with sessions.begin() as session:
            postpone(session, [Postponement(claimed, "unreachable", "nobody there", counter, 0)])
    with sessions.begin() as session:
        claims = claim(session, run_id, names.INSTRUCTIONS, count=4, lease_s=60, worker="w", least_tried=True)
        assert sorted(ordinals(claims)) == [0, 2, 3, 4]


def test_work_finished_is_done_for_good(sessions: Sessions, run_id: uuid.UUID) -> None:
    claims = take(sessions, run_id, 2)
    with sessions.begin() as session:
        assert finish(session, claims) == {each.id for each in claims}
        assert finish(session, claims) == set()
    assert item(sessions, claims[0].id).state == WorkState.DONE


def test_the_result_of_a_lost_lease_is_refused(sessions: Sessions, run_id: uuid.UUID) -> None:
    (late,) = take(sessions, run_id)
    let_run_out(sessions, late)
    with sessions.begin() as session:
        expire_leases(session)
        assert finish(session, [late]) == set()
    (holder,) = take(sessions, run_id)
    assert holder.id == late.id
    with sessions.begin() as session:
        assert finish(session, [late]) == set()
        assert fail(session, [Failure(late, "broken_answer", "late")]) == set()
        assert postpone(session, [Postponement(late, "timed_out", "late", "timeouts", 0)]) == set()
        give_back(session, [late])
        assert finish(session, [holder]) == {holder.id}
    assert (item(sessions, late.id).fault, item(sessions, late.id).timeouts) == (None, 0)


def test_a_lease_that_ran_out_holds_until_it_is_taken_back(sessions: Sessions, run_id: uuid.UUID) -> None:
    (slow,) = take(sessions, run_id)
    let_run_out(sessions, slow)
    with sessions.begin() as session:
        assert finish(session, [slow]) == {slow.id}
        assert len(expire_leases(session)) == 0


def test_a_lease_taken_back_counts_a_crash_and_nothing_else(sessions: Sessions, run_id: uuid.UUID) -> None:
    (vanished,) = take(sessions, run_id)
    let_run_out(sessions, vanished)
    with sessions.begin() as session:
        assert len(expire_leases(session)) == 1
    found = item(sessions, vanished.id)
    assert (found.state, found.crashes, found.failures, found.timeouts, found.overloads) == ("ready", 1, 0, 0, 0)
    (again,) = take(sessions, run_id)
    assert (again.attempt, again.crashes) == (1, 1)


def test_a_lease_that_holds_is_not_taken_back(sessions: Sessions, run_id: uuid.UUID) -> None:
    take(sessions, run_id)
    with sessions.begin() as session:
        assert len(expire_leases(session)) == 0


def test_a_lease_whose_result_is_being_written_is_not_taken_back(sessions: Sessions, run_id: uuid.UUID) -> None:
    (slow,) = take(sessions, run_id)
    let_run_out(sessions, slow)
    with sessions.begin() as writing, sessions.begin() as reconciling:
        assert finish(writing, [slow]) == {slow.id}
        assert len(expire_leases(reconciling)) == 0


@pytest.mark.parametrize("counter", ["failures", "timeouts", "overloads"])
def test_work_postponed_counts_its_own_kind_of_trouble(sessions: Sessions, run_id: uuid.UUID, counter: str) -> None:
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        assert postpone(session, [Postponement(claimed, "f", "d", counter, 0)]) == {claimed.id}
    (again,) = take(sessions, run_id)
    assert (again.id, getattr(again, counter), again.attempt) == (claimed.id, 1, 1)


def test_work_given_back_can_be_claimed_at_once_and_counts_nothing(sessions: Sessions, run_id: uuid.UUID) -> None:
    claims = take(sessions, run_id, 2)
    with sessions.begin() as session:
        give_back(session, claims)
    again = take(sessions, run_id, 2)
    assert [each.id for each in again] == [each.id for each in claims]
    assert [each.attempt for each in again] == [0, 0]


def test_a_failure_keeps_its_reason(sessions: Sessions, run_id: uuid.UUID) -> None:
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        assert fail(session, [Failure(claimed, "refused_input", "too long")]) == {claimed.id}
    found = item(sessions, claimed.id)
    assert (found.state, found.fault, found.detail) == (WorkState.FAILED, "refused_input", "too long")


def test_a_run_that_ends_drops_what_nobody_began(sessions: Sessions, run_id: uuid.UUID) -> None:
    take(sessions, run_id, 2)
    with sessions.begin() as session:
        assert end_run(session, run_id, RunState.CANCELLED, "enough")
        assert not end_run(session, run_id, RunState.FAILED, "too late")
        states = session.execute(select(WorkItem.state, func.count()).group_by(WorkItem.state)).all()
    assert dict(states) == {WorkState.LEASED: 2, WorkState.DROPPED: 3}


def test_what_was_added_just_as_its_run_ended_is_dropped(sessions: Sessions, run_id: uuid.UUID) -> None:
    (straggler,) = take(sessions, run_id)
    end(sessions, run_id)
    with sessions.begin() as session:
        values = {"state": WorkState.READY, "lease_token": None, "lease_expires_at": None}
        session.execute(update(WorkItem).where(WorkItem.id == straggler.id).values(values))
        drop_stragglers(session)
    assert item(sessions, straggler.id).state == WorkState.DROPPED


def test_the_work_of_runs_that_go_on_is_no_straggler(sessions: Sessions, run_id: uuid.UUID) -> None:
    with sessions.begin() as session:
        drop_stragglers(session)
    assert len(take(sessions, run_id, 9)) == 5


def test_the_due_queues_are_those_with_work_that_could_be_claimed(sessions: Sessions, run_id: uuid.UUID) -> None:
    ended = plant_run(sessions, "ended")
    plant_proposals(sessions, ended, 1)
    end(sessions, ended)
    with sessions.begin() as session:
        add_work(session, [proposal(run_id, 9, queue=names.INSTANCES, stage="instance")])
        session.execute(
            update(WorkItem).where(WorkItem.queue == names.INSTANCES).values(ready_at=text("now() + interval '1 hour'"))
        )
        assert due_queues(session) == [DueWork(run_id, names.INSTRUCTIONS)]
        assert count_due(session, run_id, names.INSTRUCTIONS, 9) == 5
        assert count_due(session, run_id, names.INSTRUCTIONS, 3) == 3
        assert count_due(session, run_id, names.INSTANCES, 9) == 0
        assert count_due(session, ended, names.INSTRUCTIONS, 9) == 0
