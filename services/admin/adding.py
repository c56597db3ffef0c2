"""The command that has a further voice answer what a run has made already."""

import time
from typing import Annotated

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.admin.connections import open_broker, open_session
from services.admin.console import say
from services.admin.listeners import warn_of_unheard
from services.admin.model_check import check_models
from services.admin.options import NoCheck
from services.admin.planning import Plan, plan_job
from services.admin.retracted_parts import refuse_retracted_voice
from services.admin.runs import RunName
from shared.errors import UserError, WorldError
from shared.job import JobSpec
from shared.job_changes import with_voice
from shared.method.consensus import Rule
from shared.queue.late_voices import add_voice
from shared.store.gate import has_late_work
from shared.store.judgements import judgements
from shared.store.runs import find_run
from shared.store.states import hold_run
from shared.store.tables.runs import Run, RunState
from shared.store.tables.work import WorkItem, WorkState, in_state

PATIENCE_S = 30.0  # with calls that are under way


class NotAddableError(UserError):
    """Run '{name}' is {state}; a voice can be added to a run that is paused or completed. {mend}"""


class StillUnderWayError(WorldError):
    """Run '{name}' is paused, but {count} of its calls are still under way. Try again when they have ended."""


class ChangedMeanwhileError(WorldError):
    """Somebody changed, resumed or ended run '{name}' while its new job was looked at. Try again."""


class SeedsDifferError(UserError):
    """The seeds or prompts that the job of run '{name}' names are not those that it began with. Put them back."""


def add_output(
    run: RunName,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="the model that is to answer, old or new")],
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="PATH=VALUE", help="describe a new model, e.g. models.NAME.kind=instruct"),
    ] = [],  # noqa: B006 - Typer copies it
    voice: Annotated[str | None, typer.Option("--name", help="what to call the voice; by default as the model")] = None,
    prompt: Annotated[str | None, typer.Option(help="the id of its template; by default as its kind of LM")] = None,
    no_check: NoCheck = False,
) -> None:
    """Have one more model answer every instance of a run, and judge anew.

    The run's own judgement stays; when the outputs are there, a further one
    is made that takes them into account. A paused run goes on with the voice
    when it is resumed.
    """
    given = {"model": model, "name": voice, "prompt": prompt}
    with open_session() as session:
        found = find_run(session, run)
        before = JobSpec.model_validate(found.job)
        job = with_voice(before, {key: value for key, value in given.items() if value}, settings)
        _wait_until_idle(session, found)
        plan = _plan(found, before, job)
        refuse_retracted_voice(session, plan, found.id)
        if not no_check:
            check_models(job.model_copy(update={"models": {model: job.models[model]}}))
        broker = open_broker()
        _hold_as_it_was(session, found)
        asked = add_voice(session, found, job, plan.fingerprint, plan.templates, plan.seeds)
        state = found.state
        number = judgements(session, found.id)[-1].number + 1 if has_late_work(session, found.id) else None
        session.commit()
    say(f"{model} is asked about {asked} instances of run {found.name}")
    _tell_what_follows(found.name, state, number)
    if job.consensus.rule is Rule.NONE:
        say(f"the run's rule is none; to decide by what {model} says, too, rejudge {found.name} --rule … afterwards")
    warn_of_unheard(job, broker)


def _tell_what_follows(name: str, state: str, number: int | None) -> None:
    if state == RunState.PAUSED:
        say(f"the run is paused; let it go on with: ensemble-instruct resume {name}")
    say(f"follow it with: ensemble-instruct watch {name}")
    if number is not None:
        export = f"ensemble-instruct export {name} --judgement {number}"
        say(f"when all outputs are there, they are judged as judgement {number}; export that with: {export}")


def _wait_until_idle(session: Session, run: Run) -> None:
    if run.state not in (RunState.PAUSED, RunState.COMPLETED):
        pausable = run.state == RunState.RUNNING
        mend = f"Pause it first: ensemble-instruct pause {run.name}" if pausable else ""
        raise NotAddableError(name=run.name, state=run.state, mend=mend)
    under_way = select(func.count()).where(WorkItem.run_id == run.id, in_state(WorkState.LEASED))
    until = time.monotonic() + PATIENCE_S
    while count := session.scalar(under_way):
        if time.monotonic() > until:
            raise StillUnderWayError(name=run.name, count=count)
        time.sleep(0.5)


def _hold_as_it_was(session: Session, run: Run) -> None:
    """Nobody has touched the run while its new job was looked at, and nobody does until it is written."""
    seen = (run.revision, run.state)
    hold_run(session, run.id)
    session.refresh(run)
    if (run.revision, run.state) != seen:
        raise ChangedMeanwhileError(name=run.name)


def _plan(run: Run, before: JobSpec, job: JobSpec) -> Plan:
    if plan_job(before).fingerprint != run.fingerprint:
        raise SeedsDifferError(name=run.name)
    return plan_job(job)


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("add-output")(add_output)
