"""A transaction that sees what another sees, and may only read: for what a person wrote."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from psycopg import errors
from sqlalchemy import Connection, Engine, exc, text
from sqlalchemy.orm import Session

from shared.errors import UserError, WorldError
from shared.store.cursors import streamed
from shared.store.session import cause

ROLE = "dataset_reader"
TIMEOUT_S = 600
SCHEMAS = ("pg_catalog", "lineage")
ROWS_AT_ONCE = 10_000


class UnknownFunctionError(UserError):
    """--where: there is no function {name}; a condition may call those of Postgres and of the schema lineage."""


class UnsteadyFunctionError(UserError):
    """--where: {name} may do more than compute, or answer otherwise the next time; a condition may call only functions
    that Postgres calls immutable or stable."""


class ConditionRefusedError(UserError):
    """--where: Postgres says: {reason}. \\d+ lineage.examples in psql, and docs/lineage.md, tell the columns."""


class ConditionTooSlowError(WorldError):
    """--where: Postgres gave up after {seconds} seconds; write a condition that is easier to decide, or export fewer
    runs at once."""


class Function(NamedTuple):
    """A function as a condition calls it; without a schema it is one of Postgres's own."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        """As it was written."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@contextmanager
def reading(session: Session) -> Iterator[Connection]:
    """A connection of its own on the session's snapshot, which has to be of a transaction of repeatable reads.

    It reads as `dataset_reader` where the session's user may, knows no name outside `pg_catalog` without its schema,
    and has `TIMEOUT_S` for each statement.
    """
    snapshot: str = session.scalars(text("SELECT pg_export_snapshot()")).one()
    engine = session.get_bind()
    assert isinstance(engine, Engine)  # noqa: S101 - sessions are made from engines
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        _restrict(connection)
        yield connection
        connection.rollback()


def _restrict(connection: Connection) -> None:
    may = connection.scalar(text("SELECT pg_has_role(current_user, :role, 'MEMBER')"), {"role": ROLE})
    if may:
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
        except exc.DBAPIError as error:
            if not isinstance(error.orig, errors.InsufficientPrivilege):  # a member that may not take the role on
                raise
    connection.exec_driver_sql("SET LOCAL search_path = pg_catalog")
    connection.exec_driver_sql("SET LOCAL standard_conforming_strings = on")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'")


def check_functions(connection: Connection, functions: Collection[Function]) -> None:
    """Raises `UnknownFunctionError`, `UnsteadyFunctionError`."""
    rows = connection.execute(
        text(
            "SELECT n.nspname, p.proname, bool_or(p.provolatile = 'v') FROM pg_proc p "
            "JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = ANY (:schemas) AND p.proname = ANY (:names) GROUP BY 1, 2"
        ),
        {"schemas": list(SCHEMAS), "names": [each.name for each in functions]},
    )
    unsteady = {(schema, name): volatile for schema, name, volatile in rows}
    for each in sorted(functions, key=str):
        known = unsteady.get((each.schema or "pg_catalog", each.name))
        if known is None:
            raise UnknownFunctionError(name=each)
        if known:
            raise UnsteadyFunctionError(name=each)


def matching(
    connection: Connection, condition: str, judgement_ids: Sequence[uuid.UUID]
) -> Iterator[Sequence[uuid.UUID]]:
    """The examples of these judgements for which a condition over `lineage.examples` holds, in pages.

    Raises `ConditionRefusedError`, `ConditionTooSlowError`.
    """
    statement = (  # with a parameter Postgres takes no second statement
        "SELECT examples.id FROM lineage.examples WHERE (examples.run_id, examples.judgement) IN "  # noqa: S608 - checked
        "(SELECT asked.run_id, asked.judgement FROM lineage.judgements AS asked WHERE asked.id = ANY (%s)) "
        f"AND (\n{condition.replace('%', '%%')}\n)"
    )
    try:
        connection.exec_driver_sql(f"EXPLAIN {statement}", (list(judgement_ids),))
        options = streamed(ROWS_AT_ONCE)
        with connection.exec_driver_sql(statement, (list(judgement_ids),), execution_options=options) as rows:
            yield from rows.scalars().partitions(ROWS_AT_ONCE)
    except exc.DBAPIError as error:
        if isinstance(error.orig, errors.QueryCanceled):
            raise ConditionTooSlowError(seconds=TIMEOUT_S) from error
        if isinstance(error, exc.ProgrammingError | exc.DataError | exc.NotSupportedError):
            raise ConditionRefusedError(reason=_reason(error)) from error
        raise


def _reason(error: exc.DBAPIError) -> str:
    """The first line of what Postgres said, and near what."""
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return str(said or cause(error)).rstrip(".")
