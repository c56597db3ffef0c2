"""Who agrees with whom in a run, and who wins: measured on a sample, so that it costs the same for any run."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.explorer import asking
from services.explorer.pages.runs import of_run
from services.explorer.reading import reading
from services.explorer.rendering import page
from services.explorer.routes import shown_at
from shared.dataset.agreement import warning
from shared.dataset.agreement_picture import picture
from shared.method.agreement import AgreementReport
from shared.store.views.agreement import sampled_agreement
from shared.store.views.runs import JudgementView, RunView

router = APIRouter()

MOST = 500  # instances


@shown_at(router, "/runs/{name}/agreement")
def agreement(request: Request, name: str) -> Response:
    """The picture in words and tables."""
    run, judgement, report = _measured(request, name)
    pairs = {voices: each for each in report.pairs for voices in (each.voices, each.voices[::-1])}
    return page(
        "agreement.html",
        run=run,
        judgement=judgement,
        report=report,
        pairs=pairs,
        warnings=[warning(bloc, run.name) for bloc in report.blocs],
        most=MOST,
    )


@shown_at(router, "/runs/{name}/agreement.svg")
def agreement_picture(request: Request, name: str) -> Response:
    """The picture by itself."""
    run, judgement, report = _measured(request, name)
    if not report.instances:
        drawn = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" width="1" height="1"/>'
    else:
        drawn = picture(report, f"{run.name}, judgement {judgement.number}: {judgement.rule}", [])
    return Response(drawn, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})


def _measured(request: Request, name: str) -> tuple[RunView, JudgementView, AgreementReport]:
    number = asking.number(request.query_params, "judgement")
    with reading(request) as session:
        run, _, judgement = of_run(session, name, number)
        return run, judgement, sampled_agreement(session, run.id, judgement, MOST)
