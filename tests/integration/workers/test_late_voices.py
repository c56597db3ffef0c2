"""A voice that joins a run when some of it, or all, is there already."""

import uuid

import pytest
from sqlalchemy import func, select

from services.admin.planning import plan_job
from shared.job import JobSpec
from shared.job_changes import KnownModelError, OtherModelError, with_voice
from shared.lm.fake import FakeServer
from shared.queue import names
from shared.queue.late_voices import add_voice
from shared.store.dead import PutBack, put_back
from shared.store.judgements import judgements
from shared.store.states import pause_run, resume_run
from shared.store.tables.records import Candidate, Example, Instance, Judgement, Verdict
from shared.store.tables.runs import Model, Run, RunState
from shared.store.tables.work import WorkState
from shared.store.work import Failure, claim, fail, give_back
from tests.integration.workers.driving import begin, drive, one_round, rows, run_of, small_job, want_more, work_in
from workers.runtime import Runtime

VOICE = {"model": "late"}
VOICES = ["base", "chat", "instance", "late"]


def _described(lm: FakeServer, model: str) -> list[str]:
    settings = {"protocol": "tgi", "kind": "instruct", "endpoints": f"[{lm.url}]", "family": model}
    return [f"models.{model}.{name}={value}" for name, value in settings.items()]


def _add(runtime: Runtime, run_id: uuid.UUID, lm: FakeServer, model: str = "late") -> int:
    """What `ensemble-instruct add-output` does."""
    with runtime.sessions.begin() as session:
        run = session.get_one(Run, run_id)
        plan = plan_job(with_voice(JobSpec.model_validate(run.job), {"model": model}, _described(lm, model)))
        return add_voice(session, run, plan.job, plan.fingerprint, plan.templates)


def _accepted(runtime: Runtime, run_id: uuid.UUID) -> list[uuid.UUID]:
    return rows(runtime, select(Instance.id).where(Instance.run_id == run_id, Instance.state == "accepted"))


def _spoken(runtime: Runtime, run_id: uuid.UUID, voice: str = "late") -> list[uuid.UUID]:
    return rows(runtime, select(Candidate.instance_id).where(Candidate.run_id == run_id, Candidate.voice == voice))


def _verdicts(runtime: Runtime, run_id: uuid.UUID, number: int) -> dict[uuid.UUID, int]:
    compared = select(Verdict.instance_id, func.cardinality(Verdict.candidate_ids))
    of_number = compared.join(Judgement, Judgement.id == Verdict.judgement_id).where(Judgement.number == number)
    return dict(rows(runtime, of_number.where(Verdict.run_id == run_id)))


def test_a_completed_run_is_answered_whole_and_judged_anew(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    before = drive(runtime, run_id)
    first = _verdicts(runtime, run_id, 0)

    assert _add(runtime, run_id, lm) == len(_accepted(runtime, run_id))
    run = drive(runtime, run_id)
    told = "all late outputs are there, and judgement 1 takes them into account"
    assert (run.state, run.reason) == (RunState.COMPLETED, told)
    assert run.fingerprint != before.fingerprint
    assert sorted(_spoken(runtime, run_id)) == sorted(_accepted(runtime, run_id))
    assert not work_in(runtime, run_id, WorkState.READY, WorkState.LEASED)
    assert _verdicts(runtime, run_id, 0) == first
    second = _verdicts(runtime, run_id, 1)
    assert second.keys() == first.keys()
    assert sum(second.values()) > sum(first.values())
    with runtime.sessions() as session:
        own, further = judgements(session, run_id)
        assert sorted(own.weights) == ["base", "chat", "instance"]
        assert sorted(further.weights) == ["base", "chat", "instance", "late"]
        assert further.families == {"late": "late"}
        assert session.scalar(select(func.count()).where(Example.judgement_id == further.id)) != 0
    assert rows(runtime, select(Model.name).where(Model.run_id == run_id).order_by(Model.name)) == [
        *("base", "chat", "late")
    ]


def test_a_paused_run_goes_on_with_the_voice(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 30}))
    one_round(runtime, run_id)
    want_more(runtime, run_id, 60)
    while not _verdicts(runtime, run_id, 0):
        one_round(runtime, run_id, without=names.INSTRUCTIONS)
    with runtime.sessions.begin() as session:
        assert pause_run(session, run_id, "a test")
    _add(runtime, run_id, lm)
    one_round(runtime, run_id)
    assert run_of(runtime, run_id).state == RunState.PAUSED
    assert not _spoken(runtime, run_id)
    with runtime.sessions.begin() as session:
        assert resume_run(session, run_id)
    assert drive(runtime, run_id).state == RunState.COMPLETED
    judged = _verdicts(runtime, run_id, 0)
    assert judged.keys() <= set(_spoken(runtime, run_id))
    assert _verdicts(runtime, run_id, 1).keys() == judged.keys()
    with runtime.sessions() as session:
        assert [sorted(each.weights) for each in judgements(session, run_id)] == [VOICES, VOICES]


def test_two_voices_that_come_late_are_both_heard_and_judged_at_once(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url))
    drive(runtime, run_id)
    asked = _add(runtime, run_id, lm, "late")
    with runtime.sessions.begin() as session:
        assert pause_run(session, run_id, "a test")
    assert _add(runtime, run_id, lm, "later") == asked
    with runtime.sessions.begin() as session:
        assert resume_run(session, run_id)
    assert drive(runtime, run_id).state == RunState.COMPLETED
    for voice in ("late", "later"):
        assert sorted(_spoken(runtime, run_id, voice)) == sorted(_accepted(runtime, run_id))
    with runtime.sessions() as session:
        assert [sorted(each.families) for each in judgements(session, run_id)] == [[], ["late", "later"]]


def test_a_late_output_that_was_given_up_is_tried_anew(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, retry={"failures": 1}))
    drive(runtime, run_id)
    asked = _add(runtime, run_id, lm)
    with runtime.sessions.begin() as session:
        lost, held = claim(session, run_id, "outputs.late", count=2, lease_s=3600, worker="test")
        fail(session, [Failure(lost, "broken_answer", "nonsense", "failures")])
    one_round(runtime, run_id)
    assert run_of(runtime, run_id).state == RunState.RUNNING  # one is held
    assert len(_spoken(runtime, run_id)) == asked - 2

    with runtime.sessions.begin() as session:
        assert put_back(session, run_id) == PutBack(1, late=1)
        give_back(session, [held])
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert sorted(_spoken(runtime, run_id)) == sorted(_accepted(runtime, run_id))


def test_a_voice_of_a_model_that_is_there_needs_a_name_of_its_own(lm: FakeServer) -> None:
    job = small_job(lm.url)
    with pytest.raises(KnownModelError, match="has a model 'chat' already"):
        with_voice(job, {"model": "chat", "name": "again"}, ["models.chat.timeout_s=5"])
    with pytest.raises(OtherModelError, match=r"models\.late\."):
        with_voice(job, VOICE, ["models.chat.timeout_s=5"])
