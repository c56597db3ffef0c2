"""What a worker must know of a run before it can do its work."""

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.job import JobSpec
from shared.method.prompts import PromptTemplate, parse_template
from shared.method.sampling import KeyedSeed
from shared.method.tasks import SeedInstance, SeedTask, TaskType
from shared.store.marks import retracted_among
from shared.store.runs import find_run
from shared.store.tables.runs import Model, Run, RunPrompt, RunSeed
from shared.store.tables.runs import PromptTemplate as PromptRow
from shared.store.tables.runs import SeedTask as SeedRow


@dataclass(frozen=True, slots=True, eq=False)
class RunContext:
    """A run's job, its templates by id, its seeds by type in the seed file's order, its models' keys.

    `revision` is that of the job. `shown_seeds` are those that are not retracted: the others are still compared with.
    """

    run_id: uuid.UUID
    name: str
    revision: int
    job: JobSpec
    templates: dict[str, PromptTemplate]
    seeds: dict[TaskType, list[KeyedSeed]]
    shown_seeds: dict[TaskType, list[KeyedSeed]]
    model_ids: dict[str, uuid.UUID]
    novel_to: tuple[uuid.UUID, ...] | None = ()  # further runs whose instructions count as known; `None` means all


def load_run(session: Session, run_id: uuid.UUID) -> RunContext | None:
    """A run as it is now; `None` if there is no such run."""
    run = session.get(Run, run_id)
    if run is None:
        return None
    sources = session.scalars(
        select(PromptRow.source)
        .join(RunPrompt, RunPrompt.template_id == PromptRow.id)
        .where(RunPrompt.run_id == run_id)
    )
    templates = [parse_template(source) for source in sources]
    models = session.execute(select(Model.name, Model.id).where(Model.run_id == run_id))
    job = JobSpec.model_validate(run.job)
    seeds = _seeds(session, run_id)
    retracted = retracted_among(session, [uuid.UUID(seed.key) for of_type in seeds.values() for seed in of_type])
    return RunContext(
        run_id=run_id,
        name=run.name,
        revision=run.revision,
        job=job,
        templates={template.id: template for template in templates},
        seeds=seeds,
        shown_seeds={
            kind: [seed for seed in of_type if uuid.UUID(seed.key) not in retracted] for kind, of_type in seeds.items()
        },
        model_ids=dict(models.all()),
        novel_to=runs_in_scope(session, job),
    )


def revision_of(session: Session, run_id: uuid.UUID) -> int | None:
    """How often a run's job was changed; `None` if there is no such run."""
    return session.scalar(select(Run.revision).where(Run.id == run_id))


def runs_in_scope(session: Session, job: JobSpec) -> tuple[uuid.UUID, ...] | None:
    """The other runs that a job's instructions must be novel to; `None` means all. Raises `RunNotFoundError`."""
    scope = job.instructions.novelty_scope
    if isinstance(scope, str):
        return None if scope == "all" else ()
    return tuple(find_run(session, name).id for name in scope)


def _seeds(session: Session, run_id: uuid.UUID) -> dict[TaskType, list[KeyedSeed]]:
    rows = session.scalars(
        select(SeedRow)
        .join(RunSeed, RunSeed.seed_task_id == SeedRow.id)
        .where(RunSeed.run_id == run_id)
        .order_by(RunSeed.position)
    )
    seeds: dict[TaskType, list[KeyedSeed]] = {task_type: [] for task_type in TaskType}
    for row in rows:
        instances = tuple(SeedInstance(each["input"], each["output"]) for each in row.instances)
        task = SeedTask(row.source_id, row.name, row.instruction, instances, row.is_classification)
        seeds[TaskType(row.task_type)].append(KeyedSeed(str(row.id), task))
    return seeds
