"""The judge keeps to the terms of its job."""

import uuid
from collections.abc import Sequence
from threading import Barrier

import pytest
from sqlalchemy import select

from shared.lm.fake import FakeServer
from shared.method.consensus import comparable
from shared.queue import names
from shared.store.judgements import terms_of
from shared.store.loading import RunContext
from shared.store.records import candidates
from shared.store.tables.records import Candidate, Judgement, Verdict
from shared.store.tables.work import WorkState
from shared.store.work import Claim
from tests.integration.workers.driving import begin, drive, one_round, rows, small_job, want_more, work_in, work_on
from workers import consensus_judge
from workers.consensus_judge import judge_page
from workers.runtime import Runtime

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


def test_while_more_than_a_page_waits_two_are_judged_at_once(
    runtime: Runtime, lm: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"input_output": 30}))
    while len(due := [each for each in work_in(runtime, run_id, WorkState.READY) if each.queue == names.CONSENSUS]) < 8:
        one_round(runtime, run_id, without=names.CONSENSUS)
    want_more(runtime, run_id, 1000)  # than are made, so that all are judged
    both, judged = Barrier(2), list[set[uuid.UUID]]()

    def judged_at_once(runtime: Runtime, context: RunContext, claims: Sequence[Claim]) -> None:
        judged.append({each.id for each in claims})
        if len(judged) <= 2:
            both.wait(60)  # and is broken if the other does not come before this one is done
        judge_page(runtime, context, claims)

    monkeypatch.setattr(consensus_judge, "VERDICTS", 4)
    monkeypatch.setattr(consensus_judge, "judge_page", judged_at_once)
    work_on(runtime, run_id, names.CONSENSUS)
    assert [len(each) for each in judged[:2]] == [4, 4]
    assert set().union(*judged) == {each.id for each in due}
    assert sum(map(len, judged)) == len(rows(runtime, select(Verdict.id))) == len(due)
