"""Pages of instances are judged several at once, and nothing that one of them meets holds up the others."""

import uuid
from collections.abc import Sequence
from functools import partial
from itertools import count
from threading import Barrier, Event, Lock

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from shared.lm.fake import FakeServer
from shared.queue import names
from shared.store.loading import RunContext
from shared.store.tables.records import Verdict
from shared.store.tables.runs import Run
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Claim
from shared.telemetry.logging import bound
from tests.integration.workers.driving import (
    begin,
    in_threads,
    one_round,
    rows,
    small_job,
    until,
    want_more,
    work_in,
    work_on,
)
from workers import consensus_judge
from workers.consensus_judge import judge_page
from workers.gate import advance_or_leave
from workers.runtime import PAGES, Runtime


def due(runtime: Runtime, run_id: uuid.UUID) -> set[uuid.UUID]:
    """The verdicts that could be made now."""
    return {each.id for each in work_in(runtime, run_id, WorkState.READY) if each.queue == names.CONSENSUS}


def begin_and_leave_to_judge(runtime: Runtime, lm: FakeServer, least: int) -> uuid.UUID:
    """A run that waits for so many verdicts or more, which do not end it."""
    run_id = begin(runtime, small_job(lm.url, targets={"input_output": 30}), f"waits for {least} {uuid.uuid4()}")
    while len(due(runtime, run_id)) < least:
        one_round(runtime, run_id, without=names.CONSENSUS)
    want_more(runtime, run_id, 1000)
    return run_id


def test_while_more_than_a_page_waits_several_are_judged_at_once(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 4 * (1 + PAGES))
    wanted, pages = due(runtime, run_id), list[set[uuid.UUID]]()
    number, together = count(), Barrier(PAGES)

    def judged_together(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        if 1 <= next(number) <= PAGES:
            together.wait(60)  # and is broken if the others do not come before this one is done
        pages.append({each.id for each in claims})
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 4)
    monkeypatch.setattr(consensus_judge, "judge_page", judged_together)
    work_on(runtime, run_id, names.CONSENSUS)
    assert set().union(*pages) == wanted
    assert sum(map(len, pages)) == len(rows(runtime, select(Verdict.id))) == len(wanted)


def test_pages_of_all_runs_together_are_no_more_at_once(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [begin_and_leave_to_judge(runtime, lm, 2 * PAGES) for _ in range(2)]
    at_once, most, lock = 0, 0, Lock()

    def counted(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        judge_page(runtime, context, claims)
        with lock:
            at_once -= 1

    monkeypatch.setattr(consensus_judge, "VERDICTS", 2)
    monkeypatch.setattr(consensus_judge, "judge_page", counted)
    in_threads([partial(work_on, runtime, run_id, names.CONSENSUS) for run_id in runs])
    assert most <= PAGES
    assert not any(due(runtime, run_id) for run_id in runs)


def test_a_page_that_cannot_be_judged_is_told_with_its_run_and_is_tried_by_others_later(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, PAGES + 3)
    waiting, number = len(due(runtime, run_id)), count()

    def fails(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        if next(number):
            raise LookupError
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 1)
    monkeypatch.setattr(consensus_judge, "judge_page", fails)
    with capture_logs([merge_contextvars]) as lines, bound(run_id=str(run_id)):
        work_on(runtime, run_id, names.CONSENSUS)
    told = [line for line in lines if line["event"] == "page not judged"]
    assert {line["run_id"] for line in told} == {str(run_id)}
    leased = {str(each.id) for each in work_in(runtime, run_id, WorkState.LEASED)}
    assert {id for line in told for id in line["work_items"]} == leased
    assert len(leased) == PAGES  # those after the first
    assert len(due(runtime, run_id)) == waiting - 1 - len(leased)


def test_who_is_told_to_stop_claims_no_further_page(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, PAGES + 2)

    def stopped_meanwhile(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        runtime.stop(None)
        judge_page(runtime, context, claims)

    waiting = len(due(runtime, run_id))
    monkeypatch.setattr(consensus_judge, "VERDICTS", 1)
    monkeypatch.setattr(consensus_judge, "judge_page", stopped_meanwhile)
    work_on(runtime, run_id, names.CONSENSUS)
    assert len(rows(runtime, select(Verdict.id))) == 1
    assert len(due(runtime, run_id)) == waiting - 1


def test_pages_are_several_again_after_there_was_too_little_for_them(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 2 * (2 + PAGES))
    later = sorted(due(runtime, run_id))[4:]
    put_off(runtime, later, "1 hour")
    claim, claimed, number, together = consensus_judge._claim, count(), count(), Barrier(PAGES)
    looked = Event()

    def looks(runtime: Runtime, context: RunContext, suspect: bool) -> list[Claim]:
        claims = claim(runtime, context, suspect)
        if next(claimed) == PAGES:  # one page alone, one more, and the others found nothing
            looked.set()
        return claims

    def judged_together(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        page = next(number)
        if page == 1:
            assert looked.wait(60)
            put_off(runtime, later, "0")
        elif 2 <= page < 2 + PAGES:
            together.wait(60)
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 2)
    monkeypatch.setattr(consensus_judge, "_claim", looks)
    monkeypatch.setattr(consensus_judge, "judge_page", judged_together)
    work_on(runtime, run_id, names.CONSENSUS)
    assert not together.broken
    assert not due(runtime, run_id)


def put_off(runtime: Runtime, ids: Sequence[uuid.UUID], by: str) -> None:
    """Have work wait for so long from now."""
    with runtime.sessions.begin() as session:
        ready_at = func.now() + text(f"interval '{by}'")
        session.execute(update(WorkItem).where(WorkItem.id.in_(ids)).values(ready_at=ready_at))


def away() -> OperationalError:
    """What a database raises that may take later what it refuses now."""
    return OperationalError("a statement", {}, Exception("canceling statement due to lock timeout"))


def test_who_is_told_to_stop_gives_back_what_was_to_be_tried_again(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, PAGES)
    waiting = due(runtime, run_id)

    def stopped_meanwhile(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        runtime.stop(None)
        raise away()

    monkeypatch.setattr(consensus_judge, "judge_page", stopped_meanwhile)
    work_on(runtime, run_id, names.CONSENSUS)
    assert due(runtime, run_id) == waiting


def test_while_the_gate_is_passed_others_judge_what_comes_due(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 4)
    later = sorted(due(runtime, run_id))[2:]
    put_off(runtime, later, "1 hour")
    claim, found_nothing, told, judged = consensus_judge._claim, Event(), Event(), Event()

    def looks(runtime: Runtime, context: RunContext, suspect: bool) -> list[Claim]:
        claims = claim(runtime, context, suspect)
        if not claims:
            found_nothing.set()
        return claims

    def passes(runtime: Runtime, context: RunContext) -> None:
        assert judged.wait(120)  # longer than `until` waits

    def tell() -> None:
        assert found_nothing.wait(60)
        put_off(runtime, later, "0")
        told.set()
        until(lambda: not due(runtime, run_id))
        judged.set()

    def judge_when_told() -> None:
        assert told.wait(60)
        work_on(runtime, run_id, names.CONSENSUS)

    monkeypatch.setattr(consensus_judge, "FILLING_S", 0.1)
    monkeypatch.setattr(consensus_judge, "_claim", looks)
    monkeypatch.setattr(consensus_judge, "advance_or_leave", passes)
    in_threads([partial(work_on, runtime, run_id, names.CONSENSUS), tell, judge_when_told])


def test_verdicts_do_not_wait_for_the_gate(runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 2 * PAGES)
    passed = list[int]()

    def waits(runtime: Runtime, context: RunContext) -> None:
        until(lambda: not due(runtime, run_id))
        passed.append(len(rows(runtime, select(Verdict.id))))
        advance_or_leave(runtime, context)

    waiting = len(due(runtime, run_id))
    monkeypatch.setattr(consensus_judge, "VERDICTS", 1)
    monkeypatch.setattr(consensus_judge, "advance_or_leave", waits)
    work_on(runtime, run_id, names.CONSENSUS)
    assert passed[-1] == waiting  # the last passage saw all verdicts
    assert len(passed) < waiting


def test_a_run_that_somebody_holds_does_not_hold_up_the_verdicts_of_others(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = [begin_and_leave_to_judge(runtime, lm, 2 * PAGES) for _ in range(2)]
    number, is_held = count(), Event()

    def held_by_now(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        if context.run_id == held and next(number):
            assert is_held.wait(60)
        judge_page(runtime, context, claims)

    def hold() -> None:
        until(lambda: rows(runtime, select(Verdict.id)))
        with runtime.sessions.begin() as session:
            session.execute(select(Run.id).where(Run.id == held).with_for_update())
            is_held.set()
            until(lambda: not due(runtime, free))

    def judge_the_other() -> None:
        assert is_held.wait(60)
        work_on(runtime, free, names.CONSENSUS)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 1)
    monkeypatch.setattr(consensus_judge, "LOCK_S", 0.1)
    monkeypatch.setattr(consensus_judge, "PATIENCE_S", 0.1)
    monkeypatch.setattr(consensus_judge, "judge_page", held_by_now)
    in_threads([partial(work_on, runtime, held, names.CONSENSUS), hold, judge_the_other])
    assert not due(runtime, held)
    assert not work_in(runtime, held, WorkState.LEASED)
