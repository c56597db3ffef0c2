"""The judge keeps to the terms of its job."""

from sqlalchemy import select

from shared.lm.fake import FakeServer
from shared.method.consensus import comparable
from shared.store.judgements import terms_of
from shared.store.records import candidates
from shared.store.tables.records import Candidate, Judgement, Verdict
from tests.integration.workers.driving import begin, drive, rows, small_job
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
