"""Ids that are written by their beginning, as the commands take them."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from services.explorer.links import record_page
from services.explorer.reading import reading
from shared.store.lineage import MIN_PREFIX, find_record
from shared.store.views.records import VIEWS

WHOLE = 32  # hexadecimal digits


def way_to(request: Request, kind: str, written: str) -> Response | None:
    """The way to the page of the record whose id begins like this; `None` if the id is whole, or could be no beginning.

    Raises `RecordNotFoundError`, `RecordAmbiguousError`.
    """
    if kind not in VIEWS or not MIN_PREFIX <= len(written.replace("-", "")) < WHOLE:
        return None
    with reading(request) as session:
        _, id = find_record(session, written, {kind: VIEWS[kind]})
    return RedirectResponse(record_page(kind, id) or "/", status_code=303)
