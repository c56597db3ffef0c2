"""Work that is given up: set aside with all that is known of it, and put back when a person says so."""

import time
import uuid
from collections.abc import Callable
from threading import Thread

import pytest
from sqlalchemy import func, select, text

from shared.lm.fake import FakeFault, FakeServer
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.method.tasks import TaskType
from shared.queue import names
from shared.store.dead import DeadWork, PutBack, dead_work, put_back
from shared.store.gate import complete_target
from shared.store.keys import judgement_key
from shared.store.locks import lock
from shared.store.states import hold_run
from shared.store.sweeping import expire_leases
from shared.store.tables.records import Candidate, Example, Generation, Instance, Verdict
from shared.store.tables.runs import RunState, RunTarget
from shared.store.tables.work import WorkItem, WorkState
from shared.store.work import claim
from tests.integration.workers.driving import (
    begin,
    drive,
    let_leases_run_out,
    one_round,
    rows,
    run_of,
    small_job,
    stream,
    want_more,
    work_in,
)
from workers.reconciler import reconcile
from workers.runtime import Runtime

Chosen = Callable[[FakeRequest], bool]

STAGES: dict[str, Chosen] = {
    "instruction": lambda request: request.prompt.rstrip().rpartition("\n")[2].startswith("Task "),
    "instance": lambda request: request.prompt.rstrip().endswith("Input:"),
    "output": lambda request: request.chat,
}


class Broken:
    """An LM whose first answers of one kind are nonsense."""

    def __init__(self, chosen: Chosen, times: int) -> None:
        self.chosen = chosen
        self.left = times

    def respond(self, request: FakeRequest) -> FakeAnswer | FakeFault:
        """Nonsense as long as there is some left."""
        if self.left and self.chosen(request):
            self.left -= 1
            return FakeFault(body=b"nonsense")
        return plausible(request)


def _until_dead(runtime: Runtime, run_id: uuid.UUID, count: int) -> list[DeadWork]:
    for _ in range(50):
        one_round(runtime, run_id)
        with runtime.sessions() as session:
            found = list(dead_work(session, run_id))
        if len(found) >= count:
            return found
    raise AssertionError("nothing was given up")


def _put_back(runtime: Runtime, run_id: uuid.UUID, *ids: uuid.UUID) -> PutBack:
    """With no more rights than the login of a person's commands has."""
    with runtime.sessions.begin() as session:
        session.execute(text("SET LOCAL ROLE ensemble_operator"))
        return put_back(session, run_id, ids or None)


@pytest.mark.parametrize("stage", STAGES)
def test_what_was_given_up_is_told_with_all_that_is_known_and_tried_anew(
    runtime: Runtime, lm: FakeServer, stage: str
) -> None:
    lm.respond = Broken(STAGES[stage], 2).respond
    run_id = begin(runtime, small_job(lm.url, targets={"input_output": 4}, retry={"failures": 1}))
    found = _until_dead(runtime, run_id, 2)

    assert {each.stage for each in found} == {stage}
    for each in found:
        assert (each.fault, each.failures, each.timeouts, each.crashes) == ("broken_answer", 1, 0, 0)
        assert "JSON" in (each.detail or "")
        assert each.worker == runtime.worker
        assert bool(each.instruction) is (stage != "instruction")

    assert _put_back(runtime, run_id, found[0].id).count == 1
    assert _put_back(runtime, run_id).count == 1
    run = drive(runtime, run_id)
    assert run.state == RunState.COMPLETED
    assert not work_in(runtime, run_id, WorkState.FAILED)
    generations = select(Generation.attempt, Generation.fault).where(Generation.work_item_id == found[0].id)
    assert rows(runtime, generations.order_by(Generation.attempt)) == [(0, "broken_answer"), (1, None)]


def test_an_instance_put_back_is_made_and_leads_to_a_verdict(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = Broken(lambda request: request.prompt.rstrip().endswith("Output:"), 1).respond
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 4}, retry={"failures": 1}))
    (lost,) = _until_dead(runtime, run_id, 1)
    (instruction,) = rows(runtime, select(WorkItem.instruction_id).where(WorkItem.id == lost.id))
    assert rows(runtime, select(Instance.reason).where(Instance.instruction_id == instruction)) == ["broken_answer"]

    _put_back(runtime, run_id)
    drive(runtime, run_id)
    verdict = select(func.count()).select_from(Verdict).join(Instance, Instance.id == Verdict.instance_id)
    assert rows(runtime, verdict.where(Instance.instruction_id == instruction)) == [1]


def test_the_counters_agree_with_the_records_after_all(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 5}, retry={"failures": 1}))
    for chosen in (STAGES["instruction"], STAGES["output"]):
        lm.respond = Broken(chosen, 1).respond
        _until_dead(runtime, run_id, 1)
        _put_back(runtime, run_id)
    drive(runtime, run_id)
    (target,) = rows(runtime, select(RunTarget).where(RunTarget.run_id == run_id))
    rejected = select(func.count()).where(Instance.run_id == run_id, Instance.state == "rejected")
    judged = select(func.count()).where(Verdict.judgement_id == judgement_key(run_id))
    assert target.concluded == rows(runtime, rejected)[0] + rows(runtime, judged)[0]
    assert (
        target.examples == rows(runtime, select(func.count()).where(Example.judgement_id == judgement_key(run_id)))[0]
    )
    gated = (WorkItem.run_id == run_id, WorkItem.stage == "instruction", WorkItem.gated)
    assert target.gated == rows(runtime, select(func.count()).where(*gated))[0]


def test_an_output_put_back_after_its_verdict_leaves_the_verdict_as_it_is(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = Broken(STAGES["output"], 1).respond
    job = small_job(
        lm.url, targets={"output_only": 30}, retry={"failures": 1}, outputs=[{"model": "base"}, {"model": "chat"}]
    )
    run_id = begin(runtime, job)
    (lost,) = _until_dead(runtime, run_id, 1)
    (instance,) = rows(runtime, select(WorkItem.instance_id).where(WorkItem.id == lost.id))
    verdict = select(Verdict.id, Verdict.candidate_ids).where(Verdict.instance_id == instance)
    want_more(runtime, run_id, 100)
    while not (before := rows(runtime, verdict)):
        one_round(runtime, run_id, without=names.INSTRUCTIONS)

    assert _put_back(runtime, run_id) == PutBack(1, late=1)
    one_round(runtime, run_id, without=names.INSTRUCTIONS)
    assert rows(runtime, verdict) == before
    spoken = select(Candidate.state).where(Candidate.instance_id == instance, Candidate.voice == "chat")
    assert rows(runtime, spoken) == ["accepted"]
    assert drive(runtime, run_id).state == RunState.COMPLETED


def test_what_belongs_to_a_type_that_is_complete_stays_dead(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = Broken(STAGES["instruction"], 1).respond
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 1}, retry={"failures": 1}))
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert _put_back(runtime, run_id).count == 0
    assert len(work_in(runtime, run_id, WorkState.FAILED)) == 1


def test_what_is_put_back_while_the_gate_completes_its_type_stays_dead(runtime: Runtime, lm: FakeServer) -> None:
    lm.respond = Broken(STAGES["instruction"], 1).respond
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 50}, retry={"failures": 1}))
    (lost,) = _until_dead(runtime, run_id, 1)
    done: list[PutBack] = []

    def retry() -> None:
        with runtime.sessions.begin() as session:
            hold_run(session, run_id)
            done.append(put_back(session, run_id))

    retrying = Thread(target=retry)
    with runtime.sessions.begin() as gate:
        lock(gate, "gate", run_id, TaskType.OUTPUT_ONLY)
        retrying.start()
        while not rows(runtime, text("SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory'")):
            assert retrying.is_alive()
            time.sleep(0.01)
        complete_target(gate, run_id, TaskType.OUTPUT_ONLY, 0)
    retrying.join()
    assert done == [PutBack(0, late=0)]
    assert [each.id for each in work_in(runtime, run_id, WorkState.FAILED)] == [lost.id]


def _crash(runtime: Runtime, run_id: uuid.UUID, poison: uuid.UUID) -> None:
    """A worker takes what it can get, and if the poison is among it, vanishes; else it gives it back later."""
    with runtime.sessions.begin() as session:
        held = claim(session, run_id, names.INSTRUCTIONS, count=99, lease_s=60, worker="vanished")
        assert len([each for each in held if each.suspect]) <= 1
    if poison in {each.id for each in held}:
        with runtime.sessions.begin() as session:
            let_leases_run_out(session, run_id)
            expire_leases(session)


def test_poison_takes_none_of_its_neighbours_with_it(runtime: Runtime, lm: FakeServer) -> None:
    run_id = begin(runtime, small_job(lm.url, targets={"output_only": 5}))
    limit = small_job(lm.url).retry.crashes
    poison = work_in(runtime, run_id, WorkState.READY)[0].id
    for _ in range(limit):
        _crash(runtime, run_id, poison)
    crashes = dict(rows(runtime, select(WorkItem.id, WorkItem.crashes).where(WorkItem.run_id == run_id)))
    assert crashes.pop(poison) == limit
    assert max(crashes.values()) == 2
    stream(runtime, run_id, names.INSTRUCTIONS)
    reconcile(runtime)
    failed = work_in(runtime, run_id, WorkState.FAILED)
    assert [(each.id, each.fault) for each in failed] == [(poison, "crashed")]
    assert drive(runtime, run_id).state == RunState.COMPLETED
    assert run_of(runtime, run_id).reason == "every target is met"
