"""What a run left out: by reason, then one by one."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.explorer import asking
from services.explorer.funnel import reasons
from services.explorer.pages.runs import of_run
from services.explorer.reading import reading
from services.explorer.rendering import page
from services.explorer.routes import shown_at
from shared.store.views.rejections import QUESTIONS, rejected
from shared.store.views.totals import funnel

router = APIRouter()

ON_A_PAGE = 50


@shown_at(router, "/runs/{name}/rejections")
def rejections(request: Request, name: str) -> Response:
    """How much was left out for each reason; for one of them, a page of what it was."""
    params = request.query_params
    kind, reason = params.get("kind"), asking.words(params, "reason")
    if kind and kind not in QUESTIONS:
        raise asking.BadQuestionError(value=kind[:60], name="kind", mend=f"write {' or '.join(QUESTIONS)}")
    after = asking.key(params["after"], "after") if params.get("after") else None
    with reading(request) as session:
        run, judgements, judgement = of_run(session, name, asking.number(params, "judgement"))
        steps = funnel(session, run.id, judgement.number)
        found = (
            rejected(session, run.id, judgement.number, kind, reason, after, ON_A_PAGE + 1) if kind and reason else []
        )
    return page(
        "rejections.html",
        run=run,
        judgements=judgements,
        judgement=judgement,
        reasons=reasons(steps),
        kind=kind,
        reason=reason,
        lines=found[:ON_A_PAGE],
        after=found[ON_A_PAGE - 1].id if len(found) > ON_A_PAGE else None,
        first=after is None,
    )
