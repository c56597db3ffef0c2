"""The explorer's connections: they can only read, and no question takes longer than a few seconds."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.explorer.asking import refuse_nulls
from shared.store.session import Sessions, make_engine

LONGEST_S = 5
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": 1000 * LONGEST_S,
    "jit": "off",  # to compile a question takes longer than to answer it
    "work_mem": "32MB",  # sorts what words were found in, of a hundred thousand examples, without a file
}


def reading_engine(url: str) -> Engine:
    """Connections to the database at `url`. Raises `DatabaseAddressError`."""
    return make_engine(url, settings=SETTINGS)


@contextmanager
def reading(request: Request) -> Iterator[Session]:
    """A session to answer this request with. Raises `BadQuestionError` where the address is no text."""
    refuse_nulls(str(request.url))
    sessions: Sessions = request.app.state.sessions
    with sessions() as session:
        yield session


def ask_for_a_sign(session: Session) -> None:
    """Read the schema that all pages read, as cheaply as can be."""
    session.execute(text("SELECT FROM lineage.runs LIMIT 1"))
