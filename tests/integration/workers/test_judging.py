"""The judge keeps to the terms of its job."""

import uuid
from collections.abc import Sequence
from functools import partial
from itertools import count
from threading import Barrier, Lock

import pytest
from sqlalchemy import select, update
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from shared.lm.fake import FakeServer
from shared.method.consensus import comparable
from shared.queue import names
from shared.store.judgements import terms_of
from shared.store.loading import RunContext
from shared.store.records import candidates
from shared.store.tables.records import Candidate, Judgement, Verdict
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import Claim
from shared.telemetry.logging import bound
from tests.integration.workers.driving import (
    begin,
    drive,
    in_threads,
    one_round,
    rows,
    small_job,
    want_more,
    work_in,
    work_on,
)
from workers import consensus_judge
from workers.consensus_judge import judge_page
from workers.runtime import PAGES, Runtime

HEAVY_CHAT = [{"model": "base"}, {"model": "chat", "weight": 3}]


def test_a_voice_of_more_weight_than_all_others_decides_a_majority(runtime: Runtime, lm: FakeServer) -> None:
    run = drive(runtime, begin(runtime, small_job(lm.url, outputs=HEAVY_CHAT, consensus={"rule": "majority"})))
    verdicts: list[Verdict] = rows(runtime, select(Verdict).where(Verdict.choice_id.is_not(None)))
    with runtime.sessions() as session:
        found = candidates(session, [verdict.instance_id for verdict in verdicts])
    chosen = {each.id: each for every in found.values() for each in every}
    voices = {chosen[verdict.choice_id].voice for verdict in verdicts if verdict.choice_id}
    assert run.state == "completed"
    assert "chat" in voices
    for verdict in verdicts:
        (chat,) = (each for each in found[verdict.instance_id] if each.voice == "chat")
        assert verdict.choice_id
        assert comparable(chosen[verdict.choice_id].output or "") == comparable(chat.output or "")


def test_voices_of_a_family_have_one_vote(runtime: Runtime, lm: FakeServer) -> None:
    families = {"base": {"family": "flan"}}
    job = small_job(lm.url, models=families, consensus={"rule": "majority"}, instructions={"patience": 20})
    drive(runtime, begin(runtime, job))
    (judgement,) = rows(runtime, select(Judgement))
    assert terms_of(judgement) == job.terms
    assert judgement.families == {"instance": "flan", "base": "flan"}
    lone = select(Candidate.voice).join(Verdict, Verdict.choice_id == Candidate.id).where(~Verdict.exact_match)
    assert set(rows(runtime, lone)) == {"chat"}  # its one vote of two, against half a vote each


def due(runtime: Runtime, run_id: uuid.UUID) -> set[uuid.UUID]:
    """The verdicts that could be made now."""
    return {each.id for each in work_in(runtime, run_id, WorkState.READY) if each.queue == names.CONSENSUS}


def begin_and_leave_to_judge(runtime: Runtime, lm: FakeServer, least: int) -> uuid.UUID:
    """A run that waits for so many verdicts or more, which do not end it."""
    run_id = begin(runtime, small_job(lm.url, targets={"input_output": 30}))
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
    assert len(leased) == PAGES + 1  # those after the first, and one that looked for more
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
