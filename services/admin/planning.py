"""From a job to all that its run begins with."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.dataset.prompt_files import find_template, load_templates
from shared.dataset.seed_files import SHIPPED_SEEDS, load_seeds
from shared.errors import UserError
from shared.job import JobSpec, fingerprint
from shared.lm.connect import connect
from shared.lm.protocol import Description
from shared.method.prompts import PromptTemplate
from shared.method.seeds import seed_digest
from shared.method.tasks import SeedTask, Stage, TaskType
from shared.store.runs import NewRun
from shared.store.tables.runs import Run


class MissingTemplateError(UserError):
    """{field}: {problem}"""


class NoSeedsError(UserError):
    """targets.{task_type}: the seed file {path} has no tasks of this type, so there is nothing to show an LM"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job with its seeds and the templates it uses."""

    job: JobSpec
    seeds: list[SeedTask]
    templates: list[PromptTemplate]
    fingerprint: str

    def new_run(self, session: Session, name: str | None) -> NewRun:
        """What to begin the run with; without a name, the job's with the next free number."""
        return NewRun(
            name or _free_name(session, self.job.name), self.job, self.fingerprint, self.seeds, self.templates
        )


def plan_job(job: JobSpec) -> Plan:
    """Read what the job names. Raises an error that names the field for anything missing or faulty."""
    seeds = load_seeds(job.seeds or SHIPPED_SEEDS)
    for task_type in job.targets:
        if not any(seed.task_type is task_type for seed in seeds):
            raise NoSeedsError(task_type=task_type, path=job.seeds or SHIPPED_SEEDS)
    templates = _templates(job)
    digests = {template.id: template.sha256 for template in templates}
    return Plan(job, seeds, templates, fingerprint(job, seed_digest(seeds), digests))


def _templates(job: JobSpec) -> list[PromptTemplate]:
    known = load_templates(job.prompts)
    used: dict[str, PromptTemplate] = {}
    for field, id in job.prompt_ids.items():
        try:
            template = find_template(known, id)
        except UserError as error:
            raise MissingTemplateError(field=field, problem=error) from None
        stage = Stage(field.partition("s.")[0])
        task_type = field.rpartition(".")[2]
        if template.stage is not stage:
            problem = f"'{id}' is a template for the stage '{template.stage}', not '{stage}'"
            raise MissingTemplateError(field=field, problem=problem)
        if template.task_type and task_type in set(TaskType) and template.task_type != task_type:
            problem = f"'{id}' is a template for '{template.task_type}', not '{task_type}'"
            raise MissingTemplateError(field=field, problem=problem)
        used[id] = template
    return list(used.values())


async def check_models(job: JobSpec) -> dict[str, list[Description]]:
    """Ask every model's servers what they serve. Raises the first `LMError`."""

    async def describe(name: str) -> list[Description]:
        model = connect(job.models[name])
        try:
            return await model.describe()
        finally:
            await model.close()

    names = list(job.models)
    described = await asyncio.gather(*(describe(name) for name in names))
    return dict(zip(names, described, strict=True))


def _free_name(session: Session, name: str) -> str:
    taken = set(session.scalars(select(Run.name).where(Run.name.startswith(f"{name}-", autoescape=True))))
    number = next(number for number in range(1, len(taken) + 2) if f"{name}-{number}" not in taken)
    return f"{name}-{number}"
