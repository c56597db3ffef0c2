"""Commands that steer a run: pause it, have it go on, cancel it."""

from typing import Annotated

import typer

from services.admin.connections import open_session
from services.admin.console import say
from services.admin.listeners import warn_of_unheard
from services.admin.model_check import check_models
from services.admin.options import NoCheck
from services.admin.retracted_parts import warn_of_retracted
from services.admin.runs import RunName
from shared.errors import UserError
from shared.job import JobSpec
from shared.job_changes import changed_job
from shared.queue.missing import add_missing_work
from shared.store import budgets
from shared.store.reloading import exhausted_type
from shared.store.runs import RunFinishedError, find_run
from shared.store.states import change_job, end_run, hold_run, pause_run, resume_run
from shared.store.tables.runs import RunState

Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="change a setting of its job first, e.g. budget.generations=50000; may be given several times",
    ),
]


class NotRunningError(UserError):
    """Run '{name}' is {state}, so there is nothing to pause."""


class NotResumableError(UserError):
    """Run '{name}' is {state}; only a run that is paused, spent or failed can go on. {mend}"""


class StillSpentError(UserError):
    """The budget of run '{name}' is spent: {spent}. Raise it as the run goes on, for example with
    --set budget.generations=50000"""


class NoSeedsLeftError(UserError):
    """Every seed task of type {task_type} that run '{name}' could show is retracted. `ensemble-instruct retractions`
    lists why; undo one of them, or cancel the run."""


def pause(run: RunName) -> None:
    """Have a run wait. Calls under way are answered and kept; no further one is made."""
    with open_session() as session:
        found = find_run(session, run)
        if not pause_run(session, found.id, "paused by command"):
            raise NotRunningError(name=found.name, state=found.state)
        session.commit()
    say(f"run {found.name} is paused; let it go on with: ensemble-instruct resume {found.name}")


def resume(
    run: RunName,
    changes: Changes = [],  # noqa: B006 - Typer copies it
    no_check: NoCheck = False,
) -> None:
    """Have a run go on that is paused, has spent its budget, or has failed."""
    with open_session() as session:
        found = find_run(session, run)
        if changes and not no_check:
            _check_changed(JobSpec.model_validate(found.job), changes)
        hold_run(session, found.id)
        session.refresh(found)
        job = JobSpec.model_validate(found.job)
        if changes:
            job = changed_job(job, changes)
            change_job(session, found.id, job)
        if task_type := exhausted_type(session, found.id):
            raise NoSeedsLeftError(name=found.name, task_type=task_type)
        was_paused = found.state == RunState.PAUSED
        if not resume_run(session, found.id):
            raise NotResumableError(name=found.name, state=found.state, mend=_mend(found.name, found.state, changes))
        if spent := budgets.spent(session, found.id, job.budget):
            raise StillSpentError(name=found.name, spent=spent)
        if not was_paused:
            add_missing_work(session, job, found.id)
        session.commit()
        warn_of_retracted(session, found.id, found.name)
    say(f"run {found.name} goes on; follow it with: ensemble-instruct watch {found.name}")
    warn_of_unheard(job)


def _mend(name: str, state: str, changes: list[str]) -> str:
    if changes and state == RunState.RUNNING:
        return f"To change its settings, pause it first: ensemble-instruct pause {name}"
    return ""


def _check_changed(before: JobSpec, changes: list[str]) -> None:
    """Ask the models whose settings change for a sign of life."""
    job = changed_job(before, changes)
    changed = {name: spec for name, spec in job.models.items() if spec != before.models.get(name)}
    if changed:
        check_models(job.model_copy(update={"models": changed}))


def cancel(run: RunName) -> None:
    """Stop a run; what it made is kept."""
    with open_session() as session:
        found = find_run(session, run)
        if not end_run(session, found.id, RunState.CANCELLED, "cancelled by command"):
            raise RunFinishedError(name=found.name, state=found.state)
        session.commit()
    tell_cancelled(found.name)


def tell_cancelled(name: str) -> None:
    """Say that a run is cancelled, and what is left of it."""
    say(f"run {name} is cancelled; its examples are kept: ensemble-instruct export {name} --out DIR")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (pause, resume, cancel):
        app.command()(command)
