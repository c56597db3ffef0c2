"""Commands about runs: list them, see how far one is, follow it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.live import Live
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import err, out, print_json, say, table
from services.admin.display import Speed, headline, live_view, status_view
from services.admin.listeners import warn_of_unheard
from services.admin.options import AsJson
from shared.errors import UserError, WorldError
from shared.job import JobSpec
from shared.method.tasks import TaskType
from shared.store.progress import RunProgress, run_progress
from shared.store.runs import Target, find_run, list_runs, targets_of
from shared.store.states import RESUMABLE
from shared.store.tables.runs import Run, RunState

RunName = Annotated[str, typer.Argument(metavar="RUN", help="the run's name, id, or the beginning of its id")]
JudgementNumber = Annotated[
    int, typer.Option("--judgement", metavar="N", help="which judgement: 0 is the run's own, others are of `rejudge`")
]
REFRESH_S = 0.5
LINE_EVERY_S = 10.0


class RunFailedError(WorldError):
    """Run {name} failed: {reason}"""


class NothingJudgedError(UserError):
    """Run '{name}' has no verdicts; `ensemble-instruct status {name}` shows how far it came."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list of all."""

    id: UUID
    name: str
    owner: str | None
    state: str
    examples: dict[str, int]
    targets: dict[str, int]
    created_at: datetime


def runs(as_json: AsJson = False) -> None:
    """List all runs, the newest first."""
    with open_session() as session:
        rows = [_row(run, targets_of(session, run.id)) for run in list_runs(session)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("there is no run yet; start one: ensemble-instruct enqueue JOB")
        return
    owners = ["owner"] if any(row.owner for row in rows) else []
    listing = table("run", *owners, "id", "state", *TaskType, "begun")
    for row in rows:
        begun = row.created_at.astimezone().isoformat(sep=" ", timespec="minutes")[:16]
        owner = [row.owner or ""] if owners else []
        listing.add_row(row.name, *owner, str(row.id)[:8], row.state, *(_made(row, kind) for kind in TaskType), begun)
    out.print(listing)


def _made(row: RunRow, kind: TaskType) -> str:
    return f"{min(row.examples[kind], row.targets[kind])}/{row.targets[kind]}" if kind in row.targets else ""


def _row(run: Run, targets: Mapping[TaskType, Target]) -> RunRow:
    examples = {str(kind): target.examples for kind, target in targets.items()}
    wanted = {str(kind): target.target for kind, target in targets.items()}
    return RunRow(run.id, run.name, run.job.get("owner"), run.state, examples, wanted, run.created_at)


def status(run: RunName, as_json: AsJson = False) -> None:
    """Show how far a run is, and what stands in its way."""
    with open_session() as session:
        found = find_run(session, run)
        progress = run_progress(session, found.id)
    if as_json:
        print_json(progress)
        return
    out.print(status_view(progress))
    _tell_what_it_waits_for(found)


def watch(run: RunName) -> None:
    """Follow a run until it ends."""
    with open_session() as session:
        found = find_run(session, run)
        _tell_what_it_waits_for(found)
        try:
            progress = follow(session, found.id)
        except KeyboardInterrupt:
            say(f"run {found.name} goes on; end it with: ensemble-instruct cancel {found.name}")
            raise
    tell_end(progress)


def _tell_what_it_waits_for(run: Run) -> None:
    if run.state == RunState.RUNNING:
        warn_of_unheard(JobSpec.model_validate(run.job))
    elif run.state in RESUMABLE:
        say(f"run {run.name} is {run.state}; let it go on with: ensemble-instruct resume {run.name}")


def follow(session: Session, run_id: UUID, check: Callable[[], None] = lambda: None) -> RunProgress:
    """Show live progress until the run ends; returns how it ended. `check` is called each time, and may raise."""
    speed = Speed()
    with _show() as show:
        while True:
            started = time.monotonic()
            progress = run_progress(session, run_id)
            session.rollback()
            show(progress, speed.measured(progress))
            if progress.ended:
                return progress
            check()
            # a large run's counts take a while: don't let watching become a load
            time.sleep(max(REFRESH_S, 10 * (time.monotonic() - started)))


Show = Callable[[RunProgress, float], None]


@contextmanager
def _show() -> Iterator[Show]:
    """Bars that move in a terminal; elsewhere, a log say, a line now and then."""
    if err.is_terminal:
        with Live(console=err, refresh_per_second=4) as live:
            yield lambda progress, tokens_per_s: live.update(live_view(progress, tokens_per_s))
        return
    told = -LINE_EVERY_S

    def line(progress: RunProgress, tokens_per_s: float) -> None:
        nonlocal told
        if progress.ended or time.monotonic() - told >= LINE_EVERY_S:
            told = time.monotonic()
            err.print(headline(progress, tokens_per_s))

    yield line


def tell_end(progress: RunProgress) -> None:
    """Say how a run ended. Raises `RunFailedError`."""
    if progress.state == RunState.FAILED:
        raise RunFailedError(name=progress.name, reason=progress.reason)
    say(f"run {progress.name} is {progress.state}: {progress.reason}")
    if progress.state == RunState.SPENT:
        say(f"have it go on with more: ensemble-instruct resume {progress.name} --set budget.generations=…")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (runs, status, watch):
        app.command()(command)
