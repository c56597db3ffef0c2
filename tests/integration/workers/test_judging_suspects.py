"""What may make its workers vanish is judged one at a time, lest more be suspected with it."""

import time
import uuid
from collections.abc import Sequence
from threading import Event

import pytest
from sqlalchemy import update

from shared.lm.fake import FakeServer
from shared.queue import names
from shared.store.loading import RunContext
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Claim
from tests.integration.workers.driving import work_in, work_on
from tests.integration.workers.test_judging_pages import away, begin_and_leave_to_judge, due, put_off
from workers import consensus_judge
from workers.consensus_judge import judge_page
from workers.runtime import PAGES, Runtime


def test_what_may_make_its_workers_vanish_is_held_one_at_a_time(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 4 * PAGES)
    suspects = sorted(due(runtime, run_id))[: PAGES + 1]
    held = list[int]()
    with runtime.sessions.begin() as session:
        session.execute(update(WorkItem).where(WorkItem.id.in_(suspects)).values(crashes=2))

    def counted(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        held.append(len([each for each in work_in(runtime, run_id, WorkState.LEASED) if each.crashes]))
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 2)
    monkeypatch.setattr(consensus_judge, "judge_page", counted)
    work_on(runtime, run_id, names.CONSENSUS)
    assert max(held) == 1
    assert not due(runtime, run_id)


def test_suspects_of_all_runs_together_are_held_one_at_a_time(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [begin_and_leave_to_judge(runtime, lm, 2) for _ in range(2)]
    suspects = {run_id: min(due(runtime, run_id)) for run_id in (first, second)}
    with runtime.sessions.begin() as session:
        session.execute(update(WorkItem).where(WorkItem.id.in_(suspects.values())).values(crashes=2))
    left = list[set[uuid.UUID]]()

    def the_other_meanwhile(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        if suspects[first] in {each.id for each in claims}:
            work_on(runtime, second, names.CONSENSUS)
            left.append(due(runtime, second))
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "judge_page", the_other_meanwhile)
    work_on(runtime, first, names.CONSENSUS)
    assert left == [{suspects[second]}]
    work_on(runtime, second, names.CONSENSUS)
    assert not due(runtime, second)


def test_a_suspect_that_no_page_could_take_is_looked_for_again(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 4)
    _, *suspects = ids = sorted(due(runtime, run_id))[:4]
    put_off(runtime, sorted(due(runtime, run_id) - set(ids)), "1 hour")
    with runtime.sessions.begin() as session:
        session.execute(update(WorkItem).where(WorkItem.id.in_(suspects)).values(crashes=2))
    claim, judged = consensus_judge._claim, Event()

    def slowly(runtime: Runtime, context: RunContext, suspect: bool) -> list[Claim]:
        claims = claim(runtime, context, suspect)
        if not (claims or suspect):  # the turn is another page's, which is to end before this one
            assert judged.wait(60)
            time.sleep(0.2)
        return claims

    def judge_and_tell(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        judge_page(runtime, context, claims)
        if len(claims) == 1:
            judged.set()

    monkeypatch.setattr(consensus_judge, "VERDICTS", 2)
    monkeypatch.setattr(consensus_judge, "_claim", slowly)
    monkeypatch.setattr(consensus_judge, "judge_page", judge_and_tell)
    work_on(runtime, run_id, names.CONSENSUS)
    assert not due(runtime, run_id) & set(ids)


def test_a_suspect_that_is_tried_again_is_still_the_only_one(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin_and_leave_to_judge(runtime, lm, 4 * PAGES)
    suspects, held, tried = sorted(due(runtime, run_id))[:PAGES], list[int](), set[uuid.UUID]()
    with runtime.sessions.begin() as session:
        session.execute(update(WorkItem).where(WorkItem.id.in_(suspects)).values(crashes=2))

    def away_at_first(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        held.append(len([each for each in work_in(runtime, run_id, WorkState.LEASED) if each.crashes]))
        new = {each.id for each in claims if each.suspect} - tried
        tried.update(new)
        if new:
            raise away()
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 2)
    monkeypatch.setattr(consensus_judge, "PATIENCE_S", 0.1)
    monkeypatch.setattr(consensus_judge, "judge_page", away_at_first)
    work_on(runtime, run_id, names.CONSENSUS)
    assert tried == set(suspects)
    assert max(held) == 1
    assert not due(runtime, run_id)
