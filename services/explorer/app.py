"""The explorer as an application: every page at its address, and a page for everything that fails."""

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from services.explorer import failures
from services.explorer.pages import agreement, examples, health, records, rejections, runs
from services.explorer.rendering import failure_page
from services.explorer.safety import Guard
from shared.errors import EnsembleInstructError
from shared.store.session import make_sessions

log = structlog.get_logger()


def application(engine: Engine, names: Iterable[str] = ()) -> ASGIApp:
    """The pages of a database, for those who ask by an address or by one of `names`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=HANDLERS)
    app.state.sessions = make_sessions(engine)
    for part in (runs, examples, rejections, agreement, records, health):
        app.include_router(part.router)
    return Guard(app, names)


def _of_request(_: Request, error: EnsembleInstructError) -> Response:
    return failure_page(failures.of_request(error))


def _of_database(request: Request, error: SQLAlchemyError) -> Response:
    failure = failures.of_database(error)
    if not failure.known:
        log.error("page not shown", path=request.url.path, exc_info=error)
    return failure_page(failure)


def _of_address(_: Request, error: HTTPException) -> Response:
    return failure_page(failures.ONLY_GET if error.status_code == 405 else failures.NOT_FOUND)


def _unforeseen(_: Request, error: Exception) -> Response:
    """The server logs it."""
    return failure_page(failures.UNFORESEEN)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Any]] = {
    EnsembleInstructError: _of_request,
    SQLAlchemyError: _of_database,
    HTTPException: _of_address,
    Exception: _unforeseen,
}
