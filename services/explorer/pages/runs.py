"""All runs, and one run: how far it is, what it left out and why, what was asked of its models."""

from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from services.explorer import asking
from services.explorer.funnel import reasons, stages
from services.explorer.reading import reading
from services.explorer.rendering import page
from services.explorer.routes import shown_at
from shared.store.views import totals
from shared.store.views.origins import files_of
from shared.store.views.runs import (
    Began,
    JudgementView,
    RunView,
    find_run,
    list_judgements,
    list_runs,
    pick_judgement,
)

router = APIRouter()

RUNS_ON_A_PAGE = 50
SEEDS_SHOWN = 12
REFRESH_S = 5


@shown_at(router, "/")
def all_runs(request: Request) -> Response:
    """The runs, the newest first."""
    with reading(request) as session:
        found = list_runs(session, _before(request.query_params.get("before")), RUNS_ON_A_PAGE + 1)
    more = len(found) > RUNS_ON_A_PAGE
    return page("runs.html", runs=found[:RUNS_ON_A_PAGE], more=more, first="before" not in request.query_params)


def _before(written: str | None) -> Began | None:
    if not written:
        return None
    at, _, id = written.rpartition("/")
    try:
        began = datetime.fromisoformat(at)
    except ValueError:
        mend = "write a time with its zone, a slash and an id"
        raise asking.BadQuestionError(value=written[:60], name="before", mend=mend) from None
    return began, asking.key(id, "before")


@shown_at(router, "/runs/{name}")
def one_run(request: Request, name: str) -> Response:
    """A run in figures."""
    number = asking.number(request.query_params, "judgement")
    with reading(request) as session:
        run, judgements, judgement = of_run(session, name, number)
        steps = totals.funnel(session, run.id, number)
        used = totals.usage(session, run.id)
        faults = totals.faults(session, run.id)
        files = files_of(session, run.id)
        seeds = totals.most_influential(session, run.id, number, SEEDS_SHOWN)
    follows = run.goes_on and "follow" in request.query_params
    return page(
        "run.html",
        run=run,
        judgements=judgements,
        judgement=judgement,
        stages=stages(steps),
        reasons=reasons(steps),
        usage=used,
        faults=faults,
        files=files,
        seeds=seeds,
        follows=follows,
        refresh=REFRESH_S if follows else None,
    )


def of_run(session: Session, name: str, number: int) -> tuple[RunView, list[JudgementView], JudgementView]:
    """A run, its judgements, and that of a number. Raises `RunNotThereError`, `JudgementNotThereError`."""
    run = find_run(session, name)
    judgements = list_judgements(session, run.id)
    return run, judgements, pick_judgement(run, judgements, number)
