"""A run's examples, and one example with all that it was chosen from."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.explorer import asking
from services.explorer.choices import why
from services.explorer.pages.runs import of_run
from services.explorer.reading import reading
from services.explorer.rendering import page
from services.explorer.routes import shown_at
from services.explorer.short_ids import way_to
from services.explorer.tree import tree_of
from shared.method.tasks import TaskType
from shared.store.views.examples import ExampleLine, Kept, Place, Wanted, count
from shared.store.views.examples import page as page_of
from shared.store.views.instances import outputs_for, sums_of_scores, verdicts_on
from shared.store.views.lineage import near_lineage
from shared.store.views.records import record
from shared.store.views.runs import RunView

router = APIRouter()

EXAMPLES_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of examples, and the places from which the pages beside it go on, where there are any."""

    lines: list[ExampleLine]
    before: Place | None
    after: Place | None


@shown_at(router, "/runs/{name}/examples")
def examples(request: Request, name: str) -> Response:
    """A run's examples in their order, as many as fit on a page."""
    params = request.query_params
    with reading(request) as session:
        run, judgements, judgement = of_run(session, name, asking.number(params, "judgement"))
        wanted = _wanted(run, request)
        counted = count(session, wanted)
        before, after = asking.place(params, "before"), asking.place(params, "after")
        found = page_of(session, wanted, counted, before or after, EXAMPLES_ON_A_PAGE + 1, backwards=before is not None)
    return page(
        "examples.html",
        run=run,
        judgements=judgements,
        judgement=judgement,
        wanted=wanted,
        counted=counted,
        shown=_shown(found, backwards=before is not None, at_start=after is None),
        kinds=list(Kept),
        types=list(TaskType),
    )


def _wanted(run: RunView, request: Request) -> Wanted:
    params = request.query_params
    return Wanted(
        run_id=run.id,
        judgement=asking.number(params, "judgement"),
        kept=asking.choice(params, "kept", Kept) or Kept.WANTED,
        task_type=asking.choice(params, "type", TaskType),
        voice=asking.words(params, "voice"),
        words=asking.words(params, "q"),
    )


def _shown(found: list[ExampleLine], *, backwards: bool, at_start: bool) -> Shown:
    """One example more than a page holds was asked for, to see whether there is another page."""
    more = len(found) > EXAMPLES_ON_A_PAGE
    lines = found[-EXAMPLES_ON_A_PAGE:] if backwards else found[:EXAMPLES_ON_A_PAGE]
    earlier, later = (more, True) if backwards else (not at_start, more)
    return Shown(lines, lines[0].place if lines and earlier else None, lines[-1].place if lines and later else None)


@shown_at(router, "/examples/{id}")
def example(request: Request, id: str) -> Response:
    """An example: its texts, every output that was compared, why one was chosen, and where it came from."""
    if way := way_to(request, "example", id):
        return way
    key = asking.key(id)
    with reading(request) as session:
        found = record(session, "example", key)
        outputs = outputs_for(session, found.values["instance_id"])
        verdicts = verdicts_on(session, found.values["instance_id"])
        lineage = near_lineage(session, "example", key)
    verdict = next(each for each in verdicts if each["id"] == found.values["verdict_id"])
    return page(
        "example.html",
        id=key,
        example=found.values,
        outputs=outputs,
        voices={each.id: each.voice for each in outputs},
        verdict=verdict,
        verdicts=verdicts,
        sums=sums_of_scores(verdict),
        why=why(verdict),
        marks=lineage.nodes[key].retracted,
        tree=tree_of(lineage),
    )
