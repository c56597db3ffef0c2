"""Commands about jobs: write one, check one, check a seed file, enqueue one."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from services.admin.connections import open_broker, open_session
from services.admin.console import err, out, print_json, say
from services.admin.enqueueing import start_run
from services.admin.planning import Plan, check_models, plan_job
from shared.dataset.seed_files import SHIPPED_SEEDS, check_seeds, load_seeds
from shared.errors import UserError, WorldError
from shared.job_file import read_job

TEMPLATE = Path(__file__).parents[2] / "jobs" / "template.yaml"

JobPath = Annotated[Path, typer.Argument(metavar="JOB", help="the job's YAML file")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="PATH=VALUE", help="change a setting of the job, e.g. targets.output_only=50"),
]
NoCheck = Annotated[bool, typer.Option("--no-check", help="don't ask the models' servers for a sign of life")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


class JobFileExistsError(UserError):
    """{path} exists already; name another file, or remove it."""


class JobFileFailedError(WorldError):
    """{path} can't be written: {reason}"""


class SeedFaultsError(UserError):
    """{path} has {count} fault(s); a run would not take it."""


def init(path: Annotated[Path, typer.Argument(help="where to write it")] = Path("job.yaml")) -> None:
    """Write a job file to edit."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise JobFileExistsError(path=path) from None
    except OSError as error:
        raise JobFileFailedError(path=path, reason=error.strerror) from error
    say(f"wrote {path}; edit it, then: ensemble-instruct validate {path}")


def validate(job: JobPath, overrides: Overrides = [], no_check: NoCheck = False) -> None:  # noqa: B006 - Typer copies it
    """Check a job without running it: its fields, seeds, templates, and that its models answer."""
    plan = plan_job(read_job(job, overrides))
    if not no_check:
        _describe(plan)
    kinds = [str(kind) for kind in plan.job.targets]
    say(f"{job} is a good job: {len(plan.seeds)} seeds, types {', '.join(kinds)}, fingerprint {plan.fingerprint}")


def validate_seeds(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="a seed file, one task a line")] = SHIPPED_SEEDS,
    as_json: AsJson = False,
) -> None:
    """Check a seed file; names the line and field of each fault."""
    faults = check_seeds(path)
    if as_json:
        print_json([{"line": fault.line, "field": fault.field, "message": fault.message} for fault in faults])
    if faults:
        for fault in [] if as_json else faults:
            out.print(f"{path}:{fault.line}: {fault.field or 'record'}: {fault.message}", markup=False)
        raise SeedFaultsError(path=path, count=len(faults))
    kinds = [task.task_type for task in load_seeds(path)]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    say(f"{path} is a good seed file: {len(kinds)} tasks ({counts})")


def enqueue(
    job: JobPath,
    overrides: Overrides = [],  # noqa: B006 - Typer copies it
    name: Annotated[str | None, typer.Option(help="the run's name; by default the job's with a number")] = None,
    no_check: NoCheck = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of a job and print its id."""
    plan = plan_job(read_job(job, overrides))
    if not no_check:
        _describe(plan)
    broker = open_broker()
    with open_session() as session:
        run = start_run(session, broker, plan, name)
    if as_json:
        print_json({"id": str(run.id), "name": run.name, "fingerprint": run.fingerprint})
        return
    out.print(str(run.id))
    say(f"run {run.name} has begun; follow it with: ensemble-instruct watch {run.name}")


def _describe(plan: Plan) -> None:
    for name, descriptions in asyncio.run(check_models(plan.job)).items():
        for each in descriptions:
            served = each.model_id or "a model it does not name"
            revision = f" at {each.model_revision[:12]}" if each.model_revision else ""
            err.print(f"{name}: {each.endpoint} serves {served}{revision}", markup=False)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(init)
    app.command()(validate)
    app.command("validate-seeds")(validate_seeds)
    app.command()(enqueue)
