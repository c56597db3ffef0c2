"""Runs: begin one, find one, see how it stands."""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache

from sqlalchemy import String, cast, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.job import JobSpec
from shared.method.prompts import PromptTemplate
from shared.method.tasks import SeedTask, Stage, TaskType
from shared.store.arrays import any_of
from shared.store.base import Base
from shared.store.driver import driver_sql
from shared.store.judgements import judgement_row
from shared.store.keys import judgement_key, key
from shared.store.tables.records import Instance, Instruction, Verdict
from shared.store.tables.runs import GOING_ON, Model, Run, RunPrompt, RunSeed, RunState, RunTarget
from shared.store.tables.runs import PromptTemplate as PromptRow
from shared.store.tables.runs import SeedTask as SeedRow
from shared.store.tables.work import WorkItem, WorkState, in_state
from shared.store.transitions import Transition, announce

MOST_LIKE = 3  # names that are told for one that there is not


class RunNotFoundError(UserError):
    """There is no run '{name}'{like}. `ensemble-instruct runs` lists those there are."""


class RunNameAmbiguousError(UserError):
    """'{name}' begins the ids of {count} runs; write more of it."""


class RunNameTakenError(UserError):
    """There is a run named '{name}' already. Give this one another with --name."""


class RunFinishedError(UserError):
    """Run '{name}' is {state} already."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a run begins with. `templates` are those that its job uses."""

    name: str
    job: JobSpec
    fingerprint: str
    seeds: Sequence[SeedTask]
    templates: Sequence[PromptTemplate]


def seed_key(seed: SeedTask) -> uuid.UUID:
    """The key of a seed task: equal for equal content, whatever file it stands in."""
    return key("seed", seed.id, seed.instruction, *(text for i in seed.instances for text in (i.input, i.output)))


@lru_cache(maxsize=256)
def template_key(sha256: str) -> uuid.UUID:
    """The key of the prompt template whose source has this sha256."""
    return key("prompt_template", sha256)


def begin_run(session: Session, new: NewRun) -> Run:
    """Write a run with all it starts from; its work is planned apart. Raises `RunNameTakenError`."""
    values = {"name": new.name, "job": new.job.model_dump(mode="json"), "fingerprint": new.fingerprint}
    free = insert(Run).values(id=uuid.uuid4(), **values).on_conflict_do_nothing(index_elements=["name"])
    run: Run | None = session.scalar(free.returning(Run))  # waits for another that is beginning a run of this name
    if run is None:
        raise RunNameTakenError(name=new.name)
    write_seeds(session, run.id, new.seeds)
    write_templates(session, run.id, new.templates)
    write_models(session, run.id, new.job)
    for task_type, target in new.job.targets.items():
        session.add(RunTarget(run_id=run.id, task_type=task_type, target=target))
    session.add(judgement_row(run.id, 0, new.job.terms))
    session.flush()
    announce(session, Transition(run.id, RunState.RUNNING, None, run.created_at))
    return run


def write_seeds(session: Session, run_id: uuid.UUID, seeds: Sequence[SeedTask]) -> None:
    """Write the seed tasks that a run draws from, those that are there left as they are."""
    rows = [
        {
            "id": seed_key(seed),
            "source_id": seed.id,
            "name": seed.name,
            "task_type": seed.task_type,
            "instruction": seed.instruction,
            "instances": [{"input": i.input, "output": i.output} for i in seed.instances],
            "is_classification": seed.is_classification,
        }
        for seed in seeds
    ]
    in_one_order = sorted(rows, key=lambda row: str(row["id"]))  # or two runs that begin at once may deadlock
    _write_new(session, SeedRow, in_one_order)
    places = [{"run_id": run_id, "position": n, "seed_task_id": row["id"]} for n, row in enumerate(rows)]
    _write_new(session, RunSeed, places)


def _write_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        session.execute(insert(table).on_conflict_do_nothing(), rows)


def write_models(session: Session, run_id: uuid.UUID, job: JobSpec) -> None:
    """Write a job's models, those that are there left as they are."""
    rows = [
        {
            "id": key("model", run_id, name),
            "run_id": run_id,
            "name": name,
            "protocol": spec.protocol.value,
            "kind": spec.kind.value,
            "served_model": spec.model,
            "licence": spec.licence,
        }
        for name, spec in job.models.items()
    ]
    _write_new(session, Model, rows)


def write_templates(session: Session, run_id: uuid.UUID, templates: Sequence[PromptTemplate]) -> None:
    """Write the templates that a run uses, those that are there left as they are."""
    rows = [
        {
            "id": template_key(template.sha256),
            "sha256": template.sha256,
            "name": template.id,
            "version": template.version,
            "stage": template.stage,
            "task_type": template.task_type,
            "source": template.source,
        }
        for template in templates
    ]
    _write_new(session, PromptRow, rows)
    _write_new(session, RunPrompt, [{"run_id": run_id, "template_id": row["id"]} for row in rows])


def find_run(session: Session, name: str) -> Run:
    """The run with this name, id, or beginning of an id (4 characters or more).

    Raises `RunNotFoundError`, `RunNameAmbiguousError`.
    """
    matches = Run.name == name
    if len(name) >= 4 and all(char in "0123456789abcdef-" for char in name.lower()):
        matches = or_(matches, cast(Run.id, String).startswith(name.lower(), autoescape=True))
    found = session.scalars(select(Run).where(matches)).all()
    exact = [run for run in found if run.name == name]
    if len(found) > 1 and not exact:
        raise RunNameAmbiguousError(name=name, count=len(found))
    if not found:
        raise RunNotFoundError(name=name, like=_like(session, name))
    return (exact or found)[0]


def _like(session: Session, name: str) -> str:
    """The newest runs whose names begin so, in words."""
    begins = Run.name.startswith(name, autoescape=True)
    newest = select(Run.name).where(begins).order_by(Run.created_at.desc()).limit(MOST_LIKE)
    found = session.scalars(newest).all() if name else []
    if not found:
        return ""
    return f", but there {'is' if len(found) == 1 else 'are'} {', '.join(found)}"


def list_runs(session: Session) -> Sequence[Run]:
    """Every run, the newest first."""
    return session.scalars(select(Run).order_by(Run.created_at.desc())).all()


def names_of(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these runs are called, the earliest first."""
    rows = session.execute(select(Run.id, Run.name).where(Run.id == any_of(ids)).order_by(Run.created_at, Run.id))
    return dict(rows.all())


def running_ids(session: Session) -> Sequence[uuid.UUID]:
    """The runs that are worked on."""
    return session.scalars(select(Run.id).where(Run.state == RunState.RUNNING).order_by(Run.created_at)).all()


def is_running(session: Session, run_id: uuid.UUID) -> bool:
    """Whether a run is worked on."""
    return bool(driver_sql(session, "SELECT 1 FROM runs WHERE id = %(id)s AND state = 'running'", id=run_id))


def is_going_on(session: Session, run_id: uuid.UUID) -> bool:
    """Whether a run has not ended."""
    return session.scalar(select(Run.id).where(Run.id == run_id, Run.state.in_(GOING_ON))) is not None


def state_of(session: Session, run_id: uuid.UUID) -> RunState | None:
    """Where a run stands; `None` if there is no such run."""
    state = session.scalar(select(Run.state).where(Run.id == run_id))
    return None if state is None else RunState(state)


def rejection_counts(session: Session, run_id: uuid.UUID, task_type: TaskType) -> list[tuple[str, int]]:
    """How often each reason ended something of a run's task type, the most frequent first."""
    counts: Counter[str] = Counter()
    for statement in (
        select(Instruction.reason).where(Instruction.run_id == run_id, Instruction.task_type == task_type),
        select(Instance.reason).where(Instance.run_id == run_id, Instance.task_type == task_type),
        select(Verdict.reason)
        .join(Instance, Instance.id == Verdict.instance_id)
        .where(Verdict.judgement_id == judgement_key(run_id), Instance.task_type == task_type),
        select(WorkItem.fault).where(
            WorkItem.run_id == run_id,
            WorkItem.task_type == task_type,
            WorkItem.stage == Stage.INSTRUCTION,
            in_state(WorkState.FAILED),
        ),
    ):
        reason = statement.selected_columns[0]
        grouped = statement.add_columns(func.count()).where(reason.is_not(None)).group_by(reason)
        counts.update(dict(session.execute(grouped).all()))
    return counts.most_common()


@dataclass(frozen=True, slots=True)
class Target:
    """How far a run is with one task type, as `RunTarget` says."""

    run_id: uuid.UUID
    task_type: TaskType
    target: int
    proposed: int
    gated: int
    accepted: int
    concluded: int
    examples: int
    gated_at_last_example: int
    completed_at: datetime | None


def targets_of(session: Session, run_id: uuid.UUID) -> dict[TaskType, Target]:
    """How far a run is, by task type."""
    found = [(id, TaskType(name), *counts) for id, name, *counts in driver_sql(session, _TARGETS, run_id=run_id)]
    return {each[1]: Target(*each) for each in found}


_TARGETS = f"""
    SELECT {", ".join(field.name for field in fields(Target))}
    FROM run_targets WHERE run_id = %(run_id)s ORDER BY task_type
"""  # noqa: S608 - our words
