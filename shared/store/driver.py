"""Statements as the driver takes them, for those that a worker runs time and again.

SQLAlchemy takes longer to put such a statement together, and to look up what became of it last time, than Postgres
takes to run it; and Postgres reads and plans it once for each connection, since what decides the plan stands in the
text. But a rollback has psycopg forget all that a connection knows, so whoever has only read commits, too.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session


def driver_sql(session: Session, statement: str, **values: object) -> Sequence[Any]:
    """The rows that a statement gives; `%(name)s` in it is the value of that name. It is part of the transaction."""
    session.flush()
    result = session.connection().exec_driver_sql(statement, values)
    return result.all() if result.returns_rows else ()
