"""`ensemble-instruct demo`: the whole system on this machine, with two real LMs, from nothing to examples."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from services.admin.console import out, say
from services.admin.enqueueing import start_run
from services.admin.planning import plan_job
from services.admin.runs import follow, tell_end
from services.local.stack import Stack, StackInfo
from shared.dataset.export import ExportFormat, export
from shared.job_file import read_job
from shared.queue.app import make_app
from shared.store.progress import RunProgress
from shared.store.session import make_engine, make_sessions
from shared.store.tables.records import Candidate, Example, Verdict

JOB = Path(__file__).parents[2] / "jobs" / "demo.yaml"
SHOWN = 160


def demo(
    folder: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="where the export goes")] = None,
) -> None:
    """Make two dozen examples on this machine, with two real language models and everything it takes."""
    with Stack(report=say) as stack:
        engine = make_engine(stack.info.database_url)
        try:
            _run(engine, stack.info, folder)
        finally:
            engine.dispose()
    say("everything that the demo started has been stopped; its data are kept")


def _run(engine: Engine, info: StackInfo, folder: Path | None) -> None:
    plan = plan_job(read_job(JOB, [f"models.{model}.endpoints=[{url}]" for model, url in info.model_urls.items()]))
    with make_sessions(engine)() as session:
        run = start_run(session, make_app(info.redis_url), plan)
        say(f"run {run.name} has begun")
        progress = follow(session, run.id)
        tell_end(progress)
        out.print(_table(session, progress))
        target = folder or Path(tempfile.mkdtemp(prefix=f"{run.name}-"))
        path = export(session, run.id, run.name, ExportFormat.JSONL, target)
        first = session.scalars(
            select(Example.id).where(Example.run_id == run.id).order_by(Example.task_type, Example.position)
        ).first()
    out.print(f"\nexported to  {path}", markup=False)
    out.print(f"lineage of the first  .venv/bin/ensemble-instruct lineage {str(first)[:8]}", markup=False)


def _table(session: Session, progress: RunProgress) -> Table:
    """The examples, and how the output of each was chosen."""
    rows = session.execute(
        select(Example, Verdict, Candidate)
        .join(Verdict, Verdict.id == Example.verdict_id)
        .join(Candidate, Candidate.id == Example.candidate_id)
        .where(Example.run_id == progress.run_id, ~Example.surplus)
        .order_by(Example.task_type, Example.position)
    ).tuples()
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
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
