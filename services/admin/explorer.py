"""`ensemble-instruct explorer`: web pages to look at runs with."""

import os
from typing import Annotated

import typer

from services.admin.connections import database_address
from services.admin.console import say
from shared.errors import UserError
from shared.settings import secrets, settings
from shared.telemetry.logging import configure_logging

EXTRA = ("fastapi", "starlette", "uvicorn")


class NoExplorerError(UserError):
    """The explorer's libraries are missing ({detail}): pip install 'ensemble-instruct[explorer]'"""


def explorer(
    host: Annotated[str, typer.Option(help="the address to listen on; by default this machine alone")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free")] = 8000,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name", metavar="NAME", help="a name that it is asked by, such as a proxy's; may stand repeatedly"
        ),
    ] = None,
) -> None:
    """Show runs, examples and where they came from as web pages. It needs a login that may read `lineage`, no more."""
    try:
        from services.explorer.app import application
        from services.explorer.reading import reading_engine
        from services.explorer.serve import listen, serve
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise NoExplorerError(detail=error.name) from error
    with database_address() as url, listen(host, port) as listening:
        configure_logging(settings().log_level, secrets(os.environ))
        engine = reading_engine(url)
        serve(application(engine, [host, *(names or ())]), listening, say)
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(explorer)
