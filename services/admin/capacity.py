"""`ensemble-instruct plan`: what a job's target needs, before any of it is made."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from services.admin.capacity_view import plan_view
from services.admin.connections import open_session
from services.admin.console import out, print_json, progress_bar, say, warn
from services.admin.listed import ModelsSilentError
from services.admin.model_check import check_models
from services.admin.options import AsJson, JobPath, Overrides
from services.admin.planning import Plan, plan_job
from services.admin.probed import ProbeFailedError, figures_of_probe
from services.admin.probing import calls_to_make, probe
from shared.capacity.differences import differences
from shared.capacity.duration import read_deadline
from shared.capacity.figures import Figures
from shared.capacity.figures_file import read_figures, refuse_unwritable, write_figures
from shared.capacity.from_run import figures_of
from shared.capacity.plan import Options, plan
from shared.errors import UserError
from shared.job import JobSpec
from shared.job_file import read_job
from shared.store.runs import find_run
from shared.store.tables.runs import Run

MOST_PROBES = 512
MOST_GPUS = 1024
MOST_DIFFERENCES = 8  # settings that are named


class WhichFiguresError(UserError):
    """Say once where the figures come from: --from RUN takes those of an earlier run, --probe N calls the job's
    servers, --figures FILE reads what --save-figures wrote"""


class GPUsError(UserError):
    """--gpus {text}: {reason}; write it as MODEL=NUMBER, for example --gpus {example}=2"""


def plan_capacity(
    job: JobPath,
    overrides: Overrides = [],  # noqa: B006 - Typer copies it
    run: Annotated[str | None, typer.Option("--from", metavar="RUN", help="take the figures of an earlier run")] = None,
    probes: Annotated[
        int | None,
        typer.Option(
            "--probe", min=1, max=MOST_PROBES, metavar="N", help="measure: N calls of each kind, to the job's servers"
        ),
    ] = None,
    figures: Annotated[Path | None, typer.Option(metavar="FILE", help="read the figures, from YAML or JSON")] = None,
    save_figures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the figures, as JSON if its name ends in .json")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="also tell what would meet it, e.g. 12h or 1h30m")
    ] = None,
    gpu_price: Annotated[float | None, typer.Option(min=0, help="what a GPU costs an hour, in your currency")] = None,
    gpus: Annotated[
        list[str], typer.Option(metavar="MODEL=N", help="GPUs of one server of a model, 1 by default")
    ] = [],  # noqa: B006 - Typer copies it
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="worker processes, each on all queues; by default each queue has as many as it takes"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a job needs before it runs: calls, time, workers, servers, GPU hours, room in Postgres.

    The run is simulated with measured figures, taken from an earlier run, from
    a short probe of the job's own servers, or from a file. docs/capacity.md
    tells how good that is.
    """
    if sum(each is not None for each in (run, probes, figures)) != 1:
        raise WhichFiguresError
    ready = plan_job(read_job(job, overrides))
    deadline_s = None if deadline is None else read_deadline(deadline)
    options = Options(workers, deadline_s, gpu_price, _gpus(ready.job, gpus))
    if save_figures:
        refuse_unwritable(save_figures)
    measured, remarks = _figures(ready, run, probes, figures)
    if save_figures:
        write_figures(save_figures, measured)
        say(f"wrote the figures to {save_figures}; plan with them again: --figures {save_figures}")
    made = plan(ready.job, measured, options)
    made = replace(made, notes=[*remarks, *made.notes])
    if as_json:
        print_json(made)
        return
    out.print(plan_view(made))
    for note in made.notes:
        warn(note)


def _figures(ready: Plan, run: str | None, probes: int | None, path: Path | None) -> tuple[Figures, list[str]]:
    """The figures, and what is to be said of them."""
    if path:
        return read_figures(path), []
    if run is not None:
        with open_session() as session:
            found = find_run(session, run)
            return figures_of(session, found), _other_settings(found, ready.job)
    return _probed(ready, probes or 1), []


def _other_settings(run: Run, job: JobSpec) -> list[str]:
    differ = differences(JobSpec.model_validate(run.job), job)
    most = [*differ[:MOST_DIFFERENCES], *(["…"] if len(differ) > MOST_DIFFERENCES else [])]
    return [f"run {run.name} had other settings, so its figures may not hold: {', '.join(most)}"] if differ else []


def _probed(ready: Plan, count: int) -> Figures:
    try:
        check_models(ready.job)
    except ModelsSilentError as error:
        raise ProbeFailedError(error.faults) from None
    with progress_bar("probing", calls_to_make(ready.job, count)) as told:
        return figures_of_probe(ready.job, probe(ready, count, told))


def _gpus(job: JobSpec, texts: list[str]) -> dict[str, float]:
    gpus: dict[str, float] = {}
    example = next(iter(job.models))
    for text in texts:
        model, _, number = text.partition("=")
        if model not in job.models:
            reason = f"the job has no model '{model}'; models: {', '.join(job.models)}"
        elif model in gpus:
            reason = f"the model '{model}' has a number already"
        elif not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MOST_GPUS):
            reason = f"'{number}' is no whole number from 1 to {MOST_GPUS:,}"
        else:
            gpus[model] = float(number)
            continue
        raise GPUsError(text=text, reason=reason, example=example)
    return gpus


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("plan")(plan_capacity)
