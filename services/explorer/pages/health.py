"""Whether the explorer lives, and whether it can answer; the files that its pages refer to."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from services.explorer.failures import of_database
from services.explorer.reading import ask_for_a_sign, reading
from services.explorer.rendering import STATIC, static_file
from services.explorer.routes import shown_at

router = APIRouter()


@shown_at(router, "/healthz")
def alive() -> Response:
    """It answers; a database that is away is none of its business."""
    return PlainTextResponse("ok\n")


@shown_at(router, "/readyz")
def ready(request: Request) -> Response:
    """The database can be read, as far as the pages need it."""
    try:
        with reading(request) as session:
            ask_for_a_sign(session)
    except SQLAlchemyError as error:
        return PlainTextResponse(f"{of_database(error).told}\n", 503)
    return PlainTextResponse("ok\n")


def _file(name: str) -> Callable[[], Response]:
    def answer() -> Response:
        return static_file(name)

    return answer


for name in STATIC:
    shown_at(router, f"/{name}")(_file(name))
