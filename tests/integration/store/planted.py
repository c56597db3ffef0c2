"""A run with work in its tables, planted without any worker."""

import uuid
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from shared.dataset.prompt_files import load_templates
from shared.job import JobSpec
from shared.method.tasks import SeedInstance, SeedTask, Stage, TaskType
from shared.queue import names
from shared.store.keys import key, position
from shared.store.loading import load_run
from shared.store.runs import NewRun, begin_run
from shared.store.session import Sessions
from shared.store.tables.records import Generation, Instance, Instruction, RecordState
from shared.store.tables.runs import PromptTemplate, Run, RunPrompt
from shared.store.tables.work import WorkItem
from shared.store.work import Claim, NewWork, add_work, claim

JOB = JobSpec.model_validate(
    {
        "name": "planted",
        "targets": {"input_output": 2, "output_only": 2},
        "models": {"base": {"protocol": "tgi", "kind": "vanilla", "endpoints": ["http://127.0.0.1:1"]}},
        "instructions": {"model": "base"},
        "instances": {"model": "base"},
        "outputs": [{"model": "base"}],
    }
)
SEEDS = (
    SeedTask("one", "sort", "Sort the words.", (SeedInstance("b a", "a b"),), False),
    SeedTask("two", "joke", "Tell a joke.", (SeedInstance("", "No."),), False),
)


def new_run(name: str, **changes: Any) -> NewRun:
    """What a run of `JOB` begins with."""
    given = {"job": JOB, "fingerprint": "f" * 16, "seeds": SEEDS, "templates": list(load_templates().values())}
    return NewRun(name, **{**given, **changes})


def plant_run(sessions: Sessions, name: str = "planted-1") -> uuid.UUID:
    """A run without work."""
    with sessions.begin() as session:
        return begin_run(session, new_run(name)).id


def proposal(run_id: uuid.UUID, ordinal: int, **changes: Any) -> NewWork:
    """A proposal to be made."""
    given: dict[str, Any] = {
        "stage": Stage.INSTRUCTION,
        "task_type": TaskType.OUTPUT_ONLY,
        "queue": names.INSTRUCTIONS,
        "position": position(ordinal),
        "model": "base",
    }
    return NewWork(run_id, **{**given, **changes})


def plant_proposals(sessions: Sessions, run_id: uuid.UUID, count: int) -> None:
    """Some proposals to be made."""
    with sessions.begin() as session:
        add_work(session, [proposal(run_id, ordinal) for ordinal in range(count)])


def take(sessions: Sessions, run_id: uuid.UUID, count: int = 1, **changes: Any) -> list[Claim]:
    """Claim some of the run's proposals, and commit."""
    with sessions.begin() as session:
        return take_in(session, run_id, count, **changes)


def take_in(session: Session, run_id: uuid.UUID, count: int = 1, **changes: Any) -> list[Claim]:
    """Claim some of the run's proposals."""
    given: dict[str, Any] = {"queue": names.INSTRUCTIONS, "lease_s": 60, "worker": "w"}
    queue = changes.pop("queue", given.pop("queue"))
    return claim(session, run_id, queue, count=count, **{**given, **changes})


def let_run_out(sessions: Sessions, *claims: Claim) -> None:
    """As if the time of these leases were over."""
    with sessions.begin() as session:
        past = text("now() - interval '1 second'")
        ids = [each.id for each in claims]
        session.execute(update(WorkItem).where(WorkItem.id.in_(ids)).values(lease_expires_at=past))


def item(sessions: Sessions, id: uuid.UUID) -> WorkItem:
    """A piece of work as it is now."""
    with sessions() as session:
        return session.get_one(WorkItem, id)


def end(sessions: Sessions, run_id: uuid.UUID) -> None:
    """Put the run to its end, and nothing else."""
    with sessions.begin() as session:
        session.execute(update(Run).where(Run.id == run_id).values(state="cancelled"))


def a_generation(session: Session, claimed: Claim, **changes: Any) -> Generation:
    """A call that was answered."""
    context = load_run(session, claimed.run_id)
    assert context is not None
    template = session.scalars(
        select(PromptTemplate.id)
        .join(RunPrompt, RunPrompt.template_id == PromptTemplate.id)
        .where(RunPrompt.run_id == claimed.run_id)
        .limit(1)
    ).one()
    given: dict[str, Any] = {
        "id": key("generation", claimed.id, claimed.attempt),
        "run_id": claimed.run_id,
        "work_item_id": claimed.id,
        "attempt": claimed.attempt,
        "stage": claimed.stage,
        "task_type": claimed.task_type,
        "model_id": context.model_ids["base"],
        "endpoint": "http://127.0.0.1:1",
        "template_id": template,
        "seed_task_ids": [],
        "instruction_ids": [],
        "prompt": "Task 1:",
        "parameters": {},
        "response": " Write something.",
        "latency_s": 0.1,
        "worker": "w",
    }
    return Generation(**{**given, **changes})


def plant_instance(sessions: Sessions, run_id: uuid.UUID, *, pending: int) -> uuid.UUID:
    """An accepted instance that waits for `pending` more outputs."""
    plant_proposals(sessions, run_id, 1)
    (claimed,) = take(sessions, run_id)
    with sessions.begin() as session:
        generation = a_generation(session, claimed)
        given = {"run_id": run_id, "task_type": TaskType.OUTPUT_ONLY, "state": RecordState.ACCEPTED}
        instruction = Instruction(
            id=key("instruction", generation.id),
            position=0,
            accepted_order=0,
            text="Write something.",
            generation_id=generation.id,
            **given,
        )
        instance = Instance(
            id=key("instance", instruction.id),
            instruction_id=instruction.id,
            generation_id=generation.id,
            input="",
            pending_outputs=pending,
            **given,
        )
        for row in (generation, instruction, instance):
            session.add(row)
            session.flush()
        return instance.id
