"""Postgres advisory locks, named by what they guard."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.store.driver import driver_sql

STANDSTILL_S = 15


def lock(session: Session, *name: object) -> None:
    """Wait for the lock of this name; it is held until the transaction ends."""
    driver_sql(session, "SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))", name=_join(name))


def try_lock(session: Session, *name: object) -> bool:
    """Take the lock of this name until the transaction ends, if nobody has it; returns whether it was free."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool(session.execute(statement, {"name": _join(name)}).scalar_one())


@contextmanager
def held_by_one(engine: Engine, *name: object) -> Iterator[bool]:
    """Whether this process got the lock of this name, for as long as the block lasts.

    After `STANDSTILL_S` it may pass to another all the same: a process that stands still must not keep it for ever.
    """
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{STANDSTILL_S}s'"))
        statement = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        got = bool(connection.execute(statement, {"name": _join(name)}).scalar_one())
        if not got:
            connection.rollback()  # idle in no transaction, however long the block lasts
        try:
            yield got
        finally:
            with suppress(SQLAlchemyError):  # Postgres has ended a transaction that lasted too long
                connection.rollback()


def _join(name: tuple[object, ...]) -> str:
    return ".".join(str(part) for part in name)
