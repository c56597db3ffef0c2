"""The explorer's connections: they read what a reader may, and no question takes longer than a few seconds."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from fastapi import Request
from sqlalchemy import Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from services.explorer.asking import refuse_nulls
from shared.store.roles import Role
from shared.store.session import Sessions, make_engine

LONGEST_S = 5
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": 1000 * LONGEST_S,
    "jit": "off",  # to compile a question takes longer than to answer it
    "work_mem": "32MB",  # sorts what words were found in, of a hundred thousand examples, without a file
}


# A login that may do more gives that up. One that may not become a reader stays what it is, and is told what it lacks.
AS_READER = """
SELECT set_config('role', rolname, false) FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER')
"""


def reading_engine(url: str) -> Engine:
    """Connections to the database at `url`. Raises `DatabaseAddressError`."""
    engine = make_engine(url, settings=SETTINGS)
    event.listen(engine, "connect", _become_reader)
    return engine


def _become_reader(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(AS_READER, [Role.READER.group])
    connection.commit()


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
