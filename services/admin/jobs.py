"""Commands about jobs: write one, check one, enqueue one."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from services.admin.connections import database_at_hand, open_broker, open_session
from services.admin.console import answer, print_json, say
from services.admin.enqueueing import start_run
from services.admin.listeners import warn_of_unheard
from services.admin.model_check import Described, check_models
from services.admin.options import AsJson, JobPath, NoCheck, Overrides, a_run_name
from services.admin.planning import Plan, plan_job
from services.admin.retracted_parts import refuse_retracted, tell_of_retracted
from shared.errors import UserError, WorldError
from shared.job_file import JobError, read_job
from shared.new_file import write_new

TEMPLATE = Path(__file__).parents[2] / "jobs" / "template.yaml"


class JobFileExistsError(UserError):
    """{path} exists already; name another file, or remove it."""


class JobFileFailedError(WorldError):
    """{path} can't be written: {reason}"""


def init(
    path: Annotated[Path, typer.Argument(metavar="[FILE]", help="where to write it")] = Path("job.yaml"),
) -> None:
    """Write a job file to edit."""
    try:
        write_new(path, TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise JobFileExistsError(path=path) from None
    except OSError as error:
        raise JobFileFailedError(path=path, reason=error.strerror) from error
    say(f"wrote {path}; edit it, then: ensemble-instruct validate {path}")


def validate(
    job: JobPath,
    overrides: Overrides = [],  # noqa: B006 - Typer copies it
    no_check: NoCheck = False,
    as_json: AsJson = False,
) -> None:
    """Check a job without running it: its fields, seeds, templates, and that its models answer."""
    try:
        plan = plan_job(read_job(job, overrides))
    except JobError as error:
        if as_json:
            print_json({"faults": [{"field": f.field, "line": f.line, "message": f.message} for f in error.faults]})
        raise
    described = {} if no_check else _asked(plan)
    _check_retracted(plan, described)
    if as_json:
        print_json(_summary(plan, described))
        return
    kinds = ", ".join(f"{target} {kind}" for kind, target in plan.job.targets.items())
    answer(f"{job} is a good job: {kinds} from {len(plan.seeds)} seeds, fingerprint {plan.fingerprint}")


def _check_retracted(plan: Plan, described: Described) -> None:
    """A job can be checked without a database; whether it is made of anything retracted can't."""
    if not database_at_hand():
        return
    try:
        with open_session() as session:
            refuse_retracted(session, plan)
            tell_of_retracted(session, plan, described)
    except WorldError as error:
        say(f"whether any part of the job is retracted is not known: {error}")


def _summary(plan: Plan, described: Described) -> dict[str, object]:
    return {
        "faults": [],
        "name": plan.job.name,
        "fingerprint": plan.fingerprint,
        "targets": plan.job.targets,
        "seeds": Counter(seed.task_type for seed in plan.seeds),
        "prompts": plan.job.prompt_ids,
        "models": described,
    }


def enqueue(
    job: JobPath,
    overrides: Overrides = [],  # noqa: B006 - Typer copies it
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="the run's name; by default the job's with a number",
            callback=lambda name: name and a_run_name(name),
        ),
    ] = None,
    no_check: NoCheck = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of a job and print its id."""
    plan = plan_job(read_job(job, overrides))
    described = {} if no_check else _asked(plan)
    broker = open_broker()
    with open_session() as session:
        run = start_run(session, broker, plan, name)
        tell_of_retracted(session, plan, described)
    if as_json:
        print_json({"id": str(run.id), "name": run.name, "fingerprint": run.fingerprint})
    else:
        answer(str(run.id))
    say(f"run {run.name} has begun; follow it with: ensemble-instruct watch {run.name}")
    warn_of_unheard(plan.job, broker)


def _asked(plan: Plan) -> Described:
    described = check_models(plan.job)
    for name, descriptions in described.items():
        for each in descriptions:
            served = each.model_id or "a model it does not name"
            revision = f" at {each.model_revision[:12]}" if each.model_revision else ""
            say(f"{name}: {each.endpoint} serves {served}{revision}")
    return described


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (init, validate, enqueue):
        app.command()(command)
