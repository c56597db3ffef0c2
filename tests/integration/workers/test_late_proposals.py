"""A proposal that is answered when nobody needs it any more."""

import uuid
from functools import partial
from random import Random

from sqlalchemy import select

from shared.lm.fake import FakeServer
from shared.method.tasks import TaskType
from shared.queue import names
from shared.store.audit.run import audit
from shared.store.tables.records import Instruction
from shared.store.tables.runs import RunState, RunTarget
from shared.store.tables.work import WorkState
from shared.store.work import Claim, Postponement, claim, give_back, postpone
from tests.integration.workers.driving import begin, drive, one_round, rows, small_job, work_in
from workers import instruction_generator
from workers.calls import Outcome
from workers.runtime import Runtime
from workers.stages import save


def test_a_proposal_that_comes_after_its_types_last_example_is_not_judged(runtime: Runtime) -> None:
    """It failed once, so that the gate passed it over, and is answered just after its type was complete."""
    with FakeServer() as server:
        run_id = begin(runtime, small_job(server.url, targets={"output_only": 1, "input_output": 1}))
        held = partial(claim_first, runtime, run_id, TaskType.OUTPUT_ONLY)
        with runtime.sessions.begin() as session:
            postpone(session, [Postponement(held(), "overloaded", "429", "overloads", 0)])
        late = held()
        other = claim_first(runtime, run_id, TaskType.INPUT_OUTPUT)  # the gate waits for it, so the run goes on
        while not is_complete(runtime, run_id, TaskType.OUTPUT_ONLY):
            one_round(runtime, run_id)

        context = runtime.context(run_id)
        assert context is not None
        with runtime.sessions() as session:
            (prepared,) = instruction_generator.STAGE.prepare(session, context, [late])
        answer = runtime.loop.run(runtime.model(context, "base").generate(prepared.call))
        save(runtime, context, instruction_generator.STAGE, [Outcome(prepared, answer, 0.1)], Random(0))
        assert late.id in {each.id for each in work_in(runtime, run_id, WorkState.DONE)}
        with runtime.sessions.begin() as session:
            give_back(session, [other])
        assert drive(runtime, run_id).state == RunState.COMPLETED
    of_late = (Instruction.run_id == run_id, Instruction.generation_id == prepared.generation_id)
    assert rows(runtime, select(Instruction).where(*of_late)) == []
    with runtime.sessions() as session:
        assert [each.name for each in audit(session, run_id, lambda name: None) if each.violations] == []


def claim_first(runtime: Runtime, run_id: uuid.UUID, task_type: TaskType) -> Claim:
    """Hold the first proposal of a type, as a worker does."""
    with runtime.sessions.begin() as session:
        claims = claim(session, run_id, names.INSTRUCTIONS, count=100, lease_s=3600, worker="test")
        first = min((each for each in claims if each.task_type == task_type), key=lambda each: each.position)
        give_back(session, [each for each in claims if each is not first])
    return first


def is_complete(runtime: Runtime, run_id: uuid.UUID, task_type: TaskType) -> bool:
    targets = select(RunTarget.completed_at).where(RunTarget.run_id == run_id, RunTarget.task_type == task_type)
    return rows(runtime, targets) != [None]
