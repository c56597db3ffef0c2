"""From a job to all that its run begins with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.admin.listed import SeedsRefusedError, TemplatesRefusedError
from shared.dataset.prompt_files import load_templates
from shared.dataset.seed_files import SHIPPED_SEEDS, load_seeds
from shared.errors import UserError
from shared.job import JobSpec
from shared.job_identity import fingerprint
from shared.method.prompts import PromptTemplate
from shared.method.seeds import SeedFileError, seed_digest
from shared.method.tasks import SeedTask, Stage
from shared.store.runs import NewRun
from shared.store.tables.runs import Run


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
    known = load_templates(job.prompts)
    if faults := list(_template_faults(job, known)):
        raise TemplatesRefusedError(faults)
    templates = {id: known[id] for id in job.prompt_ids.values()}
    shown = not job.imported or any(template.shows_demonstrations for template in templates.values())
    seeds = _seeds(job) if shown else []
    digests = {id: template.sha256 for id, template in templates.items()}
    return Plan(job, seeds, list(templates.values()), fingerprint(job, seed_digest(seeds), digests))


def _seeds(job: JobSpec) -> list[SeedTask]:
    path = job.seeds or SHIPPED_SEEDS
    try:
        seeds = load_seeds(path)
    except SeedFileError as error:
        raise SeedsRefusedError(error.faults, path=path) from None
    for task_type in job.targets:
        if not any(seed.task_type is task_type for seed in seeds):
            raise NoSeedsError(task_type=task_type, path=path)
    return seeds


def _template_faults(job: JobSpec, known: Mapping[str, PromptTemplate]) -> Iterator[str]:
    for field, id in job.prompt_ids.items():
        section, task_type = field.partition(".")[0], field.rpartition(".")[2]
        stage = Stage(section.removesuffix("s"))
        wanted = [task_type] if task_type in job.targets else list(job.targets)  # a voice speaks on every type
        fitting = sorted(other.id for other in known.values() if other.stage is stage)
        template = known.get(id)
        if template is None:
            yield f"{field}: there is no template '{id}'; for this there are: {', '.join(fitting)}"
        elif template.stage is not stage:
            yield f"{field}: '{id}' is for the stage '{template.stage}'; for this there are: {', '.join(fitting)}"
        elif template.task_type and wanted != [template.task_type]:
            yield f"{field}: '{id}' is for {template.task_type} alone, and is wanted for {' and '.join(wanted)}"


def _free_name(session: Session, name: str) -> str:
    taken = set(session.scalars(select(Run.name).where(Run.name.startswith(f"{name}-", autoescape=True))))
    number = next(number for number in range(1, len(taken) + 2) if f"{name}-{number}" not in taken)
    return f"{name}-{number}"
