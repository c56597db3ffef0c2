"""Statements as the driver takes them, for those that a worker runs time and again.

SQLAlchemy takes longer to put such a statement together, and to look up what became of it last time, than Postgres
takes to run it; and Postgres reads it once for each connection, and as a rule plans it once, after some ten times,
since what decides the plan stands in the text. But a rollback has psycopg forget all that a connection knows, so
whoever has only read commits, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import exc
from sqlalchemy.orm import Session


def driver_sql(session: Session, statement: str, **values: object) -> Sequence[tuple[Any, ...]]:
    """The rows that a statement gives; `%(name)s` in it is the value of that name. It is part of the transaction."""
    session.flush()
    with driver_cursor(session, statement) as cursor:
        cursor.execute(statement, values)
        found: Sequence[tuple[Any, ...]] = cursor.fetchall() if cursor.description else ()
    return found


@contextmanager
def driver_cursor(session: Session, statement: str) -> Iterator[Any]:
    """A cursor of the driver's in the session's transaction; what it raises comes as SQLAlchemy's error.

    Of lost connections only this one is known to be: the pool asks each of the others before it gives it out.
    """
    connection = session.connection()
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except psycopg.Error as error:
        lost = cursor.connection.closed
        if lost:
            connection.invalidate(error)
        raise exc.DBAPIError.instance(
            statement, None, error, psycopg.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()
