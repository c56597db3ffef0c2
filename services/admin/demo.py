"""`ensemble-instruct demo`: the whole system on this machine, with two real LMs, from nothing to examples."""

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.admin.console import out, printable, say
from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.admin.runs import follow, tell_end
from services.admin.steering import tell_cancelled
from services.local.stack import Stack
from shared.dataset.choosing import Request
from shared.dataset.export import export
from shared.dataset.export_record import ExportOptions
from shared.errors import WorldError
from shared.job_file import read_job
from shared.queue.app import make_app
from shared.store.exports import ExportedRun
from shared.store.keys import judgement_key
from shared.store.progress import RunProgress
from shared.store.session import make_engine, make_sessions
from shared.store.states import end_run
from shared.store.tables.records import Candidate, Example, Verdict
from shared.store.tables.runs import Run, RunState

JOB = Path(__file__).parents[2] / "jobs" / "demo.yaml"
SHOWN = 160


class PartEndedError(WorldError):
    """{parts} ended by itself, so the demo can't go on; {logs} may say why (out of memory?)"""


def demo(
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="where the export goes; by default exports/")
    ] = None,
) -> None:
    """Make twenty examples on this machine, with two real language models and everything it takes."""
    with Stack(report=say, of="demo") as stack:
        engine = make_engine(stack.info.database_url)
        try:
            _run(engine, stack, folder)
        except KeyboardInterrupt:
            say("stopping everything that the demo started …")
            raise
        finally:
            engine.dispose()
    say("everything that the demo started has been stopped; its data are kept")


def _run(engine: Engine, stack: Stack, folder: Path | None) -> None:
    info = stack.info
    addresses = [f"models.{model}.endpoints=[{url}]" for model, url in info.model_urls.items()]
    plan = plan_job(read_job(JOB, addresses))
    with make_sessions(engine)() as session:
        noted = stack.home.demo_run
        cancel_unfinished(session, noted)
        try:
            run = start_run(session, make_app(info.redis_url), plan, begins=lambda run: noted.write_text(f"{run.id}\n"))
            say(f"run {run.name} has begun")
            progress = follow(session, run.id, partial(_check_alive, stack))
        except BaseException:
            session.rollback()
            cancel_unfinished(session, noted)
            raise
        noted.unlink(missing_ok=True)
        tell_end(progress)
        out.print(_table(session, progress))
        folder = folder or Path("exports") / f"{run.name}-{str(run.id)[:8]}"
        exported = export(
            session, Request((ExportedRun(run.id, run.name, judgement_key(run.id), 0),), ExportOptions()), folder
        )
        examples = select(Example.id).where(Example.judgement_id == judgement_key(run.id), ~Example.surplus)
        first = session.scalars(examples.order_by(Example.task_type, Example.position)).first()
    out.print(f"\nexported to {folder / exported.record.files[0].path}", markup=False)
    out.print(_next(run.name, str(first)[:8]), markup=False)


def _next(run: str, example: str) -> str:
    looks = {
        f"lineage {example}": "where the first example came from",
        f"agreement {run}": "which models agree, who wins, and how long the answers are",
        "explorer": "all of it as web pages",
        "init job.yaml": "a job of your own",
    }
    lines = [f"  {sys.argv[0]} {look:{max(map(len, looks))}}   {what}" for look, what in looks.items()]
    told = "Two very small models made these, and some of what they agree on is wrong. Look further with"
    return "\n".join(["", told, *lines])


def _check_alive(stack: Stack) -> None:
    if ended := stack.ended():
        raise PartEndedError(parts=", ".join(ended), logs=stack.home.logs)


def cancel_unfinished(session: Session, noted: Path) -> None:
    """Cancel the run whose id is noted there, of a demo that was stopped or killed: stacks to come would work on it."""
    with suppress(OSError, ValueError):
        run = session.get(Run, UUID(noted.read_text().strip()))
        if run and end_run(session, run.id, RunState.CANCELLED, "the demo was stopped"):
            session.commit()
            tell_cancelled(run.name)
    noted.unlink(missing_ok=True)


def _table(session: Session, progress: RunProgress) -> Table:
    """The examples, and how the output of each was chosen."""
    rows = session.execute(
        select(Example, Verdict, Candidate)
        .join(Verdict, Verdict.id == Example.verdict_id)
        .join(Candidate, Candidate.id == Example.candidate_id)
        .where(Example.judgement_id == judgement_key(progress.run_id), ~Example.surplus)
        .order_by(Example.task_type, Example.position)
    )
    table = Table(title=f"{progress.name}: what was made", show_lines=True)
    for column, ratio in (("instruction", 4), ("input", 3), ("output", 4), ("chosen", 2)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for example, verdict, candidate in rows:
        texts = (example.instruction, example.input, example.output, _how(verdict, candidate))
        table.add_row(*(Text(_short(text)) for text in texts))
    return table


def _how(verdict: Verdict, candidate: Candidate) -> str:
    voices = len(verdict.candidate_ids)
    if verdict.exact_match:
        return f"{candidate.voice}, word for word like another of {voices}"
    return f"{candidate.voice}, most alike the others of {voices}"


def _short(text: str) -> str:
    return printable(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)
