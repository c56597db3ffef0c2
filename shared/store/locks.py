"""Postgres advisory locks, named by what they guard."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session


def lock(session: Session, *name: object) -> None:
    """Wait for the lock of this name; it is held until the transaction ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": _join(name)})


def try_lock(session: Session, *name: object) -> bool:
    """Take the lock of this name until the transaction ends, if nobody has it; returns whether it was free."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool(session.execute(statement, {"name": _join(name)}).scalar_one())


@contextmanager
def held_by_one(engine: Engine, *name: object) -> Iterator[bool]:
    """Whether this process got the lock of this name, for as long as the block lasts."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        parameters = {"name": _join(name)}
        got = connection.execute(
            text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"), parameters
        ).scalar_one()
        try:
            yield bool(got)
        finally:
            if got:
                connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), parameters)


def _join(name: tuple[object, ...]) -> str:
    return ".".join(str(part) for part in name)
