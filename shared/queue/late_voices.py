"""A voice that joins a run late: its outputs for what is there already, asked for as late work.

Late work outlasts the completion of its task type, and the run ends when it is done. Late outputs come after the
verdict, which stands; a further judgement takes them into account.
"""

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session

from shared.job import JobSpec, Voice
from shared.method.prompts import PromptTemplate
from shared.method.tasks import SeedTask, Stage, TaskType
from shared.queue import names
from shared.store.arrays import any_of
from shared.store.judgements import widen
from shared.store.runs import targets_of, write_models, write_seeds, write_templates
from shared.store.tables.records import Instance, Instruction, RecordState
from shared.store.tables.runs import Run, RunState, RunTarget
from shared.store.tables.work import WorkItem
from shared.store.transitions import Transition, announce
from shared.store.work import NewWork, add_work

PAGE = 1000


def add_voice(
    session: Session,
    run: Run,
    job: JobSpec,
    fingerprint: str,
    templates: Sequence[PromptTemplate],
    seeds: Sequence[SeedTask] = (),
) -> int:
    """Give a run a job whose last voice is new, and ask it about every instance; returns how many there are.

    The run is paused with nothing under way, or completed; a completed one is at work again. An imported one has no
    seed tasks until a voice is to be shown some.
    """
    run.job, run.fingerprint, run.revision = job.model_dump(mode="json"), fingerprint, run.revision + 1
    if any(target.completed_at is None for target in targets_of(session, run.id).values()):
        widen(session, run.id, job.terms)
    if run.state == RunState.COMPLETED:
        now = session.scalars(select(func.now())).one()
        run.state, run.reason, run.finished_at, run.active_since = RunState.RUNNING, None, None, now
        announce(session, Transition(run.id, RunState.RUNNING, None, now))
    session.flush()
    write_models(session, run.id, job)
    write_templates(session, run.id, templates)
    write_seeds(session, run.id, seeds)
    return _ask(session, run.id, job.outputs[-1])


def _ask(session: Session, run_id: uuid.UUID, voice: Voice) -> int:
    last, asked = uuid.UUID(int=0), 0
    while True:
        page = session.execute(
            select(Instance.id, Instance.task_type, Instruction.position, _is_decided().label("decided"))
            .join(Instruction, Instruction.id == Instance.instruction_id)
            .where(Instance.run_id == run_id, Instance.state == RecordState.ACCEPTED, Instance.id > last)
            .order_by(Instance.id)
            .limit(PAGE)
        ).all()
        if not page:
            return asked
        last, asked = page[-1].id, asked + len(page)
        add_work(
            session,
            [
                NewWork(
                    run_id=run_id,
                    stage=Stage.OUTPUT,
                    task_type=TaskType(task_type),
                    queue=names.outputs(voice.model),
                    position=position,
                    model=voice.model,
                    voice=voice.label,
                    instance_id=id,
                    late=decided,
                )
                for id, task_type, position, decided in page
            ],
        )
        session.execute(
            update(Instance)
            .where(Instance.id == any_of(id for id, *_ in page))
            .values(pending_outputs=Instance.pending_outputs + 1)
            .execution_options(synchronize_session=False)
        )


def _is_decided() -> ColumnElement[bool]:
    """Whether an instance waits for no output any more: its verdict is planned, or its task type is complete."""
    verdict = (WorkItem.instance_id == Instance.id) & (WorkItem.stage == Stage.CONSENSUS)
    of_type = (RunTarget.run_id == Instance.run_id) & (RunTarget.task_type == Instance.task_type)
    return exists().where(verdict) | exists().where(of_type, RunTarget.completed_at.is_not(None))
